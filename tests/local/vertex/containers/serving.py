"""A serving container: answers every instance with its deployed model's id and the place of its artefacts.

FAILS=exits makes it end at once, FAILS=never-healthy answers 503 for its health.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAILS = os.environ.get("FAILS", "")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart, and the second must not wait for the first

    def do_GET(self) -> None:
        healthy = self.path == os.environ["AIP_HEALTH_ROUTE"] and FAILS != "never-healthy"
        self._answer(200 if healthy else 503, "{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.headers["Content-Type"] == "text/plain":
            return self._answer(200, body.upper(), "text/plain")
        asked = json.loads(body)["instances"]
        if "bad" in asked:
            return self._answer(400, '{"error": "a bad row"}')
        if "broken" in asked:
            return self._answer(500, "it broke")
        if "nonsense" in asked:
            return self._answer(200, "[1, 2")
        if asked[:1] == ["repeat"]:
            return self._answer(200, json.dumps({"predictions": [body]}))
        told = [os.environ.get("AIP_DEPLOYED_MODEL_ID", "nowhere"), os.environ["AIP_STORAGE_URI"], os.getpid()]
        return self._answer(200, json.dumps({"predictions": [told for _ in asked]}))

    def _answer(self, status: int, content: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None: ...


if FAILS == "exits":
    sys.exit("this container does not want to")
print(json.dumps({name: os.environ[name] for name in sorted(os.environ) if name.startswith("AIP_")}), flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
