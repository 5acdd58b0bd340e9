"""A serving container: answers with its deployed model's id. FAILS=exits ends it, SLOW=n starts it in n seconds."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart, and the second must not wait for the first

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/health" else 404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
        self._answer(400 if "bad" in asked else 200)

    def _answer(self, status: int) -> None:
        content = json.dumps({"predictions": [[os.environ["AIP_DEPLOYED_MODEL_ID"], os.getpid()]]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


if os.environ.get("FAILS") == "exits":
    sys.exit("this container does not want to")
time.sleep(float(os.environ.get("SLOW", "0")))
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
