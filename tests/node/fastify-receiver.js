// A receiver as users write it: Fastify, with a parser that keeps the bytes.
'use strict';

// Fastify's own parser refuses bodies with a key `__proto__`; events are users' data.
const fastify = require('fastify')({ bodyLimit: 2 * 1024 * 1024 });
const { verify } = require('./verifiers');

fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes, done) => {
  try {
    done(null, { parsed: JSON.parse(bytes), bytes });
  } catch (error) {
    done(Object.assign(error, { statusCode: 400 }));
  }
});
fastify.post('/webhook', async (request, reply) => {
  reply.status(verify({ ...request.body, headers: request.headers }));
  return 'OK';
});

fastify.listen({ port: 0, host: '127.0.0.1' }).then((url) => console.log(`listening on ${url}`));
