"""Receiver with the Python libraries for Standard Webhooks.

The secret is WEBHOOK_SECRET. The libraries get a plain secret as bytes.
Prints the verdict of each verifier as one line of JSON per delivery.
"""

import hashlib
import hmac
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import standardwebhooks
import svix

SECRET = os.environ["WEBHOOK_SECRET"]
KEY = SECRET if SECRET.startswith("whsec_") else SECRET.encode()
ONE_LINE_AT_A_TIME = threading.Lock()
LIBRARIES = {"standardwebhooks": standardwebhooks, "svix": svix}


def body_signature(body, headers):
    computed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(computed, headers["x-webhook-signature"])


def accepts(library, body, headers):
    library.Webhook(KEY).verify(body, headers)
    return True


def attempt(check):
    try:
        return check()
    except Exception as error:
        return repr(error)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        verdicts = {"body": attempt(lambda: body_signature(body, headers))}
        for name, library in LIBRARIES.items():
            verdicts[name] = attempt(lambda: accepts(library, body, headers))
        valid = all(verdict is True for verdict in verdicts.values())
        verdict = {"id": headers["webhook-id"], "verdicts": verdicts}
        with ONE_LINE_AT_A_TIME:
            print(json.dumps(verdict), flush=True)
        self.send_response(200 if valid else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Logs nothing: the verdict is printed instead."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
