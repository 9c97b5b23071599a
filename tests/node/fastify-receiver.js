// Receiver with Fastify and a body parser that keeps the raw bytes.
'use strict';

// The JSON parser of Fastify rejects bodies with a key `__proto__`, but events may contain that key.
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
