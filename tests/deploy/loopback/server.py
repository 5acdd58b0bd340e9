"""The server: one port for all APIs, every request recorded with its body and what became of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.deploy.loopback.apis import Apis
from tests.deploy.loopback.state import PROJECT, Document, Refused, State
from tests.deploy.loopback.storage import Storage

_APIS = (
    "ARTIFACTREGISTRY", "CLOUDBUILD", "CLOUDFUNCTIONS", "CLOUDRESOURCEMANAGER", "CLOUDSCHEDULER", "CONTAINERANALYSIS",
    "AIPLATFORM", "CLOUDKMS", "IAM", "LOGGING", "MONITORING", "PUBSUB", "RUN", "SECRETMANAGER", "SERVICEUSAGE",
    "STORAGE",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One request as it came, and the status it was answered with."""

    method: str
    path: str
    body: Any
    status: int

    @property
    def mutates(self) -> bool:
        """Whether it may have changed something."""
        return self.method != "GET" and ":getIamPolicy" not in self.path


@dataclass
class Loopback:
    """A running server: its state, its requests so far, and the environment in which gcloud asks it."""

    url: str
    state: State = field(default_factory=State)
    requests: list[Request] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # what the server itself could not do

    def environment(self, home: str) -> dict[str, str]:
        """Variables for a gcloud that asks only this server, without account, prompts or reports of use."""
        return {
            "http_proxy": self.url,  # Cloud Run and Vertex AI are asked at hosts whose names begin with the region
            "CLOUDSDK_CONFIG": home,
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": f"{self.url}/" for api in _APIS},
        }


@contextmanager
def serving(state: State | None = None) -> Iterator[Loopback]:
    """The server on a free port of this machine, until the block ends."""
    loopback = Loopback("", state or State())
    lock = threading.Lock()
    storage = Storage(loopback.state)
    apis = Apis(loopback.state, lambda: loopback.url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            content = self._content()
            self.path = self.path[self.path.index("/", 8) :] if self.path.startswith("http://") else self.path
            with lock:
                status, answer = self._answered(content)
                loopback.requests.append(Request(self.command, self.path, _json(content), status))
            told = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        def _content(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        def _answered(self, content: bytes) -> tuple[int, Document]:
            asked = urlsplit(self.path)
            query = dict(parse_qsl(asked.query))
            path = asked.path.lstrip("/")
            try:
                if path == "upload-source":
                    return 200, {}
                if path.startswith("upload/storage/v1/"):
                    return 200, storage.answer("UPLOAD", path.removeprefix("upload/storage/v1/"), query, content)
                if path.startswith("storage/v1/"):
                    found = storage.answer(self.command, path.removeprefix("storage/v1/"), query, content)
                    return 200, found
                return 200, apis.answer(self.command, path, query, json.loads(content or b"{}"))
            except Refused as refused:
                return refused.code, refused.body
            except Exception as error:  # which gcloud does not ask for again
                loopback.errors.append(f"{self.command} {self.path}: {error!r}")
                return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": repr(error)}}

        def log_message(self, *_: object) -> None:
            """Nothing: the requests are in the record."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    loopback.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield loopback
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return f"{len(content)} bytes"
