"""A webhook receiver that checks every signature with the official Standard Webhooks library.

Prints its port as the first line. Appends one JSON line per request to --out:
{"verified": bool, "answered": status, "id": webhook-id, "timestamp": webhook-timestamp, "path": .., "error": .., "body": ..}
where body is the parsed JSON when it is JSON, else the text. An unverified request is answered 401.
"""

import argparse
import http.server
import json
import threading

from standardwebhooks import Webhook, WebhookVerificationError

MAX_BODY_BYTES = 1 << 20


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, webhook, out, fail_first):
        super().__init__(("127.0.0.1", port), Request)
        self.webhook = webhook
        self.out = out
        self.to_fail = fail_first
        self.lock = threading.Lock()

    def note(self, request):
        """Decides the answer and writes the line in one step, so that lines and failures come in one order."""
        with self.lock:
            if self.to_fail > 0:
                self.to_fail -= 1
                request["answered"] = 500
            else:
                request["answered"] = 204 if request["verified"] else 401
            with open(self.out, "a", encoding="utf-8") as out:
                out.write(json.dumps(request) + "\n")
        return request["answered"]


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            self.answer(413)
            return
        payload = self.rfile.read(length)
        error = None
        try:
            self.server.webhook.verify(payload, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError as refused:
            error = str(refused)
        try:
            body = json.loads(payload)
        except ValueError:
            body = payload.decode("utf-8", "replace")
        status = self.server.note(
            {
                "verified": error is None,
                "id": self.headers.get("webhook-id"),
                "timestamp": self.headers.get("webhook-timestamp"),
                "path": self.path,
                "error": error,
                "body": body,
            }
        )
        self.answer(status)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """What arrived is in the file; nothing on stderr."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--secret-file", required=True, help="holds the shared secret: whsec_ and base64")
    parser.add_argument("--out", required=True, help="file that gets one JSON line per request")
    parser.add_argument("--fail-first", type=int, default=0, help="answer 500 to this many requests first")
    options = parser.parse_args()

    with open(options.secret_file, encoding="utf-8") as file:
        webhook = Webhook(file.read().strip())
    receiver = Receiver(options.port, webhook, options.out, options.fail_first)
    print(receiver.server_port, flush=True)
    receiver.serve_forever()


if __name__ == "__main__":
    main()
