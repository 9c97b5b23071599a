// Receiver with Express and its JSON body parser, for the tests of the documented verifier.
//
//   node express-receiver.js express|express4
'use strict';

const express = require(process.argv[2] ?? 'express');
const { verify } = require('./verifiers');

const app = express();
app.use(express.json({ limit: '2mb', verify: (req, _res, bytes) => { req.bytes = bytes; } }));
app.post('/webhook', (req, res) => {
  res.status(verify({ parsed: req.body, bytes: req.bytes, headers: req.headers })).send('OK');
});

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
// On a busy machine the default of 5 s can close a connection during a request. Other tests cover
// that case.
server.keepAliveTimeout = 60_000;
