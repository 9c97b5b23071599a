// Webhook receiver with Fastify.
//
//   npm install
//   WEBHOOK_SECRET=... PORT=4000 node receiver.js
'use strict';

const crypto = require('node:crypto');
const fastify = require('fastify')({ bodyLimit: 2 * 1024 * 1024 });

const { WEBHOOK_SECRET: secret, PORT: port = '4000', LISTEN_HOST: host = '127.0.0.1' } = process.env;
if (!secret) throw new Error('set WEBHOOK_SECRET to the secret of the endpoint');

const MAX_AGE_SECONDS = 5 * 60;
const REMEMBERED_IDS = 10_000;

// Key of webhook-signature: the decoded bytes of a whsec_ secret, else the secret as given.
const standardKey = secret.startsWith('whsec_')
  ? Buffer.from(secret.slice('whsec_'.length), 'base64')
  : Buffer.from(secret);

// Compares in constant time, so that the answer's timing does not reveal the signature.
function equal(given, expected) {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}

// X-Webhook-Signature: HMAC-SHA256 of the raw body in hex. The key is the secret as given, a
// whsec_ prefix included. The header has room for one signature: see "Rotate a secret" in the
// README before you change the secret.
function hasBodySignature(headers, body) {
  const expected = crypto.createHmac('sha256', secret).update(body).digest('hex');
  return equal(headers['x-webhook-signature'] ?? '', expected);
}

// Standard Webhooks: HMAC-SHA256 of "id.timestamp.body" in base64. The timestamp limits replays.
// During a secret rotation the header holds several signatures; one match is enough.
function hasStandardSignature(headers, body) {
  const id = headers['webhook-id'] ?? '';
  const timestamp = headers['webhook-timestamp'] ?? '';
  const age = Math.abs(Date.now() / 1000 - Number(timestamp));
  if (!id || !/^[0-9]+$/.test(timestamp) || age > MAX_AGE_SECONDS) return false;
  const hmac = crypto.createHmac('sha256', standardKey).update(`${id}.${timestamp}.`).update(body);
  const expected = `v1,${hmac.digest('base64')}`;
  return (headers['webhook-signature'] ?? '').split(' ').some((given) => equal(given, expected));
}

// The latest ids. A Set keeps insertion order, so the first one is the oldest. Several processes
// need a shared store instead, such as a table with a unique key.
const seen = new Set();

// Returns true for a new id.
function remember(id) {
  if (seen.has(id)) return false;
  seen.add(id);
  if (seen.size > REMEMBERED_IDS) seen.delete(seen.values().next().value);
  return true;
}

// Your code. It runs after the answer, so a crash here loses the event: where that matters, write
// the event to a queue or a table before you answer.
async function handle(event) {
  console.log('received', event.event);
}

// The raw body: the signatures cover its bytes, not the parsed JSON.
fastify.removeAllContentTypeParsers();
fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

fastify.post('/webhook', async (request, reply) => {
  const { headers, body = Buffer.alloc(0) } = request;
  if (!hasBodySignature(headers, body) || !hasStandardSignature(headers, body)) {
    return reply.code(401).send({ error: 'invalid signature or timestamp' });
  }
  const event = JSON.parse(body);
  const isNew = remember(headers['webhook-id']);
  // Answer at once: the sender waits, and retries after its timeout.
  reply.send({ duplicate: !isNew });
  if (isNew) handle(event).catch(console.error);
  return reply;
});

fastify.listen({ port: Number(port), host })
  .then((url) => console.log(`listening on ${url}/webhook`));
