// How users verify a delivery: the documented way, which recomputes the signature over
// JSON.stringify of the parsed body, and with the libraries for Standard Webhooks.
//
// Takes the secret from WEBHOOK_SECRET; a plain one is given to the libraries as raw.
'use strict';

const crypto = require('node:crypto');
const libraries = { standardwebhooks: require('standardwebhooks'), svix: require('svix') };

const secret = process.env.WEBHOOK_SECRET;
const format = secret.startsWith('whsec_') ? undefined : { format: 'raw' };

function verifyWebhookSignature(payload, signature) {
  const computed = crypto.createHmac('sha256', secret).update(JSON.stringify(payload)).digest('hex');
  // Throws on any other length, as the documented verifier does.
  return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(computed));
}

function attempt(check) {
  try {
    return check();
  } catch (error) {
    return error.message;
  }
}

/** Prints what each verifier says of a delivery, as one line of JSON; returns the status to answer. */
function verify({ parsed, bytes, headers }) {
  const verdicts = {
    documented: attempt(() => verifyWebhookSignature(parsed, headers['x-webhook-signature'])),
  };
  for (const [name, { Webhook }] of Object.entries(libraries)) {
    verdicts[name] = attempt(() => {
      new Webhook(secret, format).verify(bytes, headers);
      return true;
    });
  }
  console.log(JSON.stringify({ id: headers['webhook-id'], verdicts }));
  return Object.values(verdicts).every((verdict) => verdict === true) ? 200 : 401;
}

module.exports = { verify };
