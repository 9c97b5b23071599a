"""Webhook receiver with Flask.

    pip install -r requirements.txt
    WEBHOOK_SECRET=... PORT=4000 python receiver.py

In production: pip install gunicorn, then
    WEBHOOK_SECRET=... gunicorn --workers 1 --threads 8 --bind 127.0.0.1:4000 receiver:app
"""

import base64
import hashlib
import hmac
import json
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, request

SECRET = os.environ["WEBHOOK_SECRET"]
MAX_AGE_SECONDS = 5 * 60
REMEMBERED_IDS = 10_000


def standard_key(secret):
    """Key of webhook-signature: the decoded bytes of a whsec_ secret, else the secret as given."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    encoded = secret.removeprefix("whsec_")
    return base64.b64decode(encoded + "=" * (-len(encoded) % 4))


BODY_KEY = SECRET.encode()
STANDARD_KEY = standard_key(SECRET)


def equal(given, expected):
    """Compares in constant time, so that the answer's timing does not reveal the signature."""
    return hmac.compare_digest(given.encode(), expected.encode())


def has_body_signature(headers, body):
    """X-Webhook-Signature: HMAC-SHA256 of the raw body in hex.

    The key is the secret as given, a whsec_ prefix included. The header has room for one
    signature: see "Rotate a secret" in the README before you change the secret.
    """
    expected = hmac.new(BODY_KEY, body, hashlib.sha256).hexdigest()
    return equal(headers.get("X-Webhook-Signature", ""), expected)


def has_standard_signature(headers, body):
    """Standard Webhooks: HMAC-SHA256 of "id.timestamp.body" in base64.

    The timestamp limits replays. During a secret rotation the header holds several signatures;
    one match is enough.
    """
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not event_id or not re.fullmatch("[0-9]{1,12}", timestamp):
        return False
    if abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        return False
    signed = f"{event_id}.{timestamp}.".encode() + body
    digest = hmac.new(STANDARD_KEY, signed, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return any(equal(given, expected) for given in headers.get("webhook-signature", "").split(" "))


# The latest ids. A dict keeps insertion order, so the first one is the oldest. Several processes
# need a shared store instead, such as a table with a unique key.
seen = {}
seen_lock = threading.Lock()


def remember(event_id):
    """Returns True for a new id."""
    with seen_lock:
        if event_id in seen:
            return False
        seen[event_id] = None
        if len(seen) > REMEMBERED_IDS:
            del seen[next(iter(seen))]
        return True


def handle(event):
    """Your code. It runs next to the answer, so a crash here loses the event: where that matters,
    write the event to a queue or a table before you answer."""
    print("received", event["event"], flush=True)


app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024
workers = ThreadPoolExecutor(max_workers=4)


@app.post("/webhook")
def webhook():
    # The raw body: the signatures cover its bytes, not the parsed JSON.
    body = request.get_data()
    headers = request.headers
    if not has_body_signature(headers, body) or not has_standard_signature(headers, body):
        return {"error": "invalid signature or timestamp"}, 401
    event = json.loads(body)
    is_new = remember(headers["webhook-id"])
    # Answer at once: the sender waits, and retries after its timeout.
    if is_new:
        workers.submit(handle, event)
    return {"duplicate": not is_new}


if __name__ == "__main__":
    app.run(os.environ.get("LISTEN_HOST", "127.0.0.1"), int(os.environ.get("PORT", "4000")))
