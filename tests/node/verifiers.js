// Signature checks for the receivers: the documented verifier, which signs JSON.stringify of the
// parsed body, and the libraries for Standard Webhooks.
//
// The secret is WEBHOOK_SECRET. The libraries read a plain secret in their raw format.
'use strict';

const crypto = require('node:crypto');
const libraries = { standardwebhooks: require('standardwebhooks'), svix: require('svix') };

const secret = process.env.WEBHOOK_SECRET;
const format = secret.startsWith('whsec_') ? undefined : { format: 'raw' };

function verifyWebhookSignature(payload, signature) {
  const computed = crypto.createHmac('sha256', secret).update(JSON.stringify(payload)).digest('hex');
  // Throws if the lengths differ, like the documented verifier.
  return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(computed));
}

function attempt(check) {
  try {
    return check();
  } catch (error) {
    return error.message;
  }
}

/** Prints the verdict of each verifier as one line of JSON. Returns the status of the answer. */
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
