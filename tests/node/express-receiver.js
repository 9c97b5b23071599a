// A receiver as users write it: Express, its JSON body parser, and the documented
// verifier, which recomputes the signature over JSON.stringify(req.body).
//
//   node express-receiver.js express|express4
//
// Takes the secret from WEBHOOK_SECRET. Prints `listening on PORT`, then for each
// delivery one line of JSON: whether each signature verifies.
'use strict';

const crypto = require('node:crypto');
const { Webhook } = require('standardwebhooks');
const express = require(process.argv[2] ?? 'express');

const secret = process.env.WEBHOOK_SECRET;
const standardWebhooks = new Webhook(secret, { format: 'raw' });

function verifyWebhookSignature(payload, signature) {
  const computed = crypto.createHmac('sha256', secret).update(JSON.stringify(payload)).digest('hex');
  // Throws on any other length, as the documented verifier does.
  return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(computed));
}

function attempt(check) {
  try {
    return check() ? true : 'it does not match';
  } catch (error) {
    return error.message;
  }
}

const app = express();
app.use(express.json({ limit: '2mb', verify: (req, _res, bytes) => { req.bytes = bytes; } }));
app.post('/webhook', (req, res) => {
  const documented = attempt(() => verifyWebhookSignature(req.body, req.headers['x-webhook-signature']));
  const standard = attempt(() => standardWebhooks.verify(req.bytes, req.headers));
  const id = req.headers['webhook-id'];
  console.log(JSON.stringify({ id, event: req.body.event, documented, standard }));
  res.status(documented === true && standard === true ? 200 : 401).send('OK');
});

const server = app.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
