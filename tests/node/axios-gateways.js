// Posts events with axios in the words of the gateways that use it. Arguments: gateway, URL, token,
// JWT key. Reads a list of events from the standard input; prints for each the text that was sent
// and the answer.
'use strict';

const axios = require('axios');
const { createHmac } = require('node:crypto');

const [gateway, url, token, jwtKey] = process.argv.slice(2);

function jwt() {
  const iat = Math.floor(Date.now() / 1000);
  const claims = { iat, exp: iat + 600, app: 'evolution', action: 'webhook' };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', jwtKey).update(signed).digest('base64url')}`;
}

// With "webhook by events", Evolution appends the event to the URL.
function byEvents(event) {
  return `${url}/${String(event).replace(/_/gi, '-').replace(/\./gi, '-').toLowerCase()}`;
}

const gateways = {
  // wwebjs-api: utils.js, triggerWebhook
  wwebjs: ({ dataType, data, sessionId }) =>
    axios.post(url, { dataType, data, sessionId }, { headers: { 'x-api-key': token } }),
  // Evolution API: webhook.controller.ts, emit
  evolution: (data) =>
    axios.create({ baseURL: url, headers: { Authorization: `Bearer ${token}` }, timeout: 30000 }).post('', data),
  'evolution-jwt': (data) =>
    axios.create({ baseURL: byEvents(data.event), headers: { Authorization: `Bearer ${jwt()}` } }).post('', data),
  'evolution-global': (data) => axios.create({ baseURL: byEvents(data.event) }).post('', data),
  // wppconnect-server: functions.ts, callWebHook
  wppconnect: (data) => axios.post(url, data),
  // open-wa: events.ts, registerWebhook
  'open-wa': (data) =>
    axios({ method: 'post', url, data, headers: { Authorization: `Bearer ${token}` } }),
};

async function main() {
  let input = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) input += chunk;
  const results = [];
  for (const event of JSON.parse(input)) {
    const answer = await gateways[gateway](event).catch((error) => error.response ?? { status: error.message });
    const sent = answer.config?.data ?? '';
    results.push({ sent, answer: { status: answer.status, data: answer.data } });
  }
  process.stdout.write(JSON.stringify(results));
}

main();
