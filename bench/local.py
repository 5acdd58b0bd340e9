"""The local cloud beside Google's Pub/Sub emulator: how soon it pushes, how fast it publishes and starts, its memory.

The two are measured in turns in one run, for a shared machine is never as fast twice: only their ratios say anything.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from google.pubsub_v1.types import PubsubMessage

from bench.report import Row, at_least, at_most, middle
from cli.demo.cloud import LocalCloud, local_cloud
from local.processes import free_port, wait_for_port
from tests.local.pubsub.clients import LETTERS, TOPIC, Clients
from tests.local.pubsub.emulator import Emulator, emulator_jar, running_emulator

ROUNDS = 3
_PUBLISHED = 200
_PUSHED = 60
_BURSTS, _BURST_MESSAGES, _BURST_BYTES = 20, 1000, 500
_PACE_SECONDS = 0.05
_READY_SECONDS = 60.0
_PUSH_SECONDS = 30.0
_UP_READY_SECONDS = 3.0
_ROOT = Path(__file__).parents[1]
Start = Callable[[Path], AbstractContextManager[Emulator]]


@dataclass(frozen=True)
class Measured:
    """One Pub/Sub, from its start to its end."""

    start_seconds: float
    push_seconds: float
    published_per_second: float
    memory_mebibytes: float


def measured() -> list[Row]:
    """The ratios, where Google's emulator is installed, and how soon the whole local cloud is ready."""
    starts: dict[str, Start] = {"ours": _ours}
    if emulator_jar() is not None:
        starts["Google's"] = running_emulator
    found: dict[str, list[Measured]] = {name: [] for name in starts}
    for _ in range(ROUNDS):
        for name, start in starts.items():
            found[name].append(_measure(start))
    middles = {name: _middle(each) for name, each in found.items()}
    return [*_ratios(middles), *_absolute(middles), _up()]


def _ratios(found: dict[str, Measured]) -> list[Row]:
    if "Google's" not in found:
        return []
    ours, googles = found["ours"], found["Google's"]
    return [
        at_most("publish to push, p50", ours.push_seconds / googles.push_seconds, "× emulator", 1 / 10),
        at_least("publish one by one", ours.published_per_second / googles.published_per_second, "× emulator", 1),
        at_most("start to first answer", ours.start_seconds / googles.start_seconds, "× emulator", 1 / 2),
        at_most("memory after 20,000 messages", ours.memory_mebibytes / googles.memory_mebibytes, "× emulator", 1 / 3),
    ]


def _absolute(found: dict[str, Measured]) -> list[Row]:
    return [
        row
        for name, each in found.items()
        for row in (
            Row(f"{name}: publish to push, p50", 1000 * each.push_seconds, "ms"),
            Row(f"{name}: publish one by one", each.published_per_second, "1/s"),
            Row(f"{name}: start to first answer", each.start_seconds, "s"),
            Row(f"{name}: memory after 20,000 messages", each.memory_mebibytes, "MiB"),
        )
    ]


def _middle(found: list[Measured]) -> Measured:
    return Measured(
        middle([each.start_seconds for each in found]),
        middle([each.push_seconds for each in found]),
        middle([each.published_per_second for each in found]),
        middle([each.memory_mebibytes for each in found]),
    )


def _measure(start: Start) -> Measured:
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder:
        begun = time.perf_counter()
        with start(Path(folder)) as running, _Sink() as sink:
            clients = Clients(running.host)
            clients.publisher.create_topic(name=TOPIC)
            start_seconds = time.perf_counter() - begun
            rate = _published_per_second(clients)
            push_seconds = _push_seconds(clients, sink)
            _burst(clients)
            memory = psutil.Process(running.pid).memory_info().rss / 2**20
            clients.close()
    return Measured(start_seconds, push_seconds, rate, memory)


def _published_per_second(clients: Clients) -> float:
    begun = time.perf_counter()
    for _ in range(_PUBLISHED):
        clients.publish()
    return _PUBLISHED / (time.perf_counter() - begun)


def _burst(clients: Clients) -> None:
    """Many messages at once, so that memory is that of a service that has been used."""
    clients.publisher.create_topic(name=LETTERS)
    for _ in range(_BURSTS):
        messages = [PubsubMessage(data=b"x" * _BURST_BYTES)] * _BURST_MESSAGES
        clients.publisher.publish(topic=LETTERS, messages=messages)


def _push_seconds(clients: Clients, sink: "_Sink") -> float:
    """The median of messages that are published one by one at a steady pace."""
    clients.subscribe(push_config={"push_endpoint": sink.url})
    for _ in range(_PUSHED):
        message = PubsubMessage(data=b"x", attributes={"sent": str(time.perf_counter())})
        clients.publisher.publish(topic=TOPIC, messages=[message])
        time.sleep(_PACE_SECONDS)
    return middle(sink.wait(_PUSHED))


class _Sink:
    """Takes pushes and notes how long each was on its way."""

    def __init__(self) -> None:
        self._taken: list[float] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> "_Sink":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, count: int) -> list[float]:
        """What was noted, once so many have come; RuntimeError when they do not."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._taken) >= count, _PUSH_SECONDS):
                raise RuntimeError(f"{len(self._taken)} of {count} messages were pushed")
            return list(self._taken)

    def _take(self, body: bytes) -> None:
        now = time.perf_counter()
        with self._changed:
            self._taken.append(now - float(json.loads(body)["message"]["attributes"]["sent"]))
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                sink._take(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def _ours(folder: Path) -> Iterator[Emulator]:
    port = free_port()
    command = [sys.executable, "-m", "local.pubsub", "--port", str(port), "--data", str(folder / "pubsub")]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            if not wait_for_port(port, process, _READY_SECONDS):
                raise RuntimeError("the local Pub/Sub did not start")
            yield Emulator(f"127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()


def _up() -> Row:
    taken = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder:
            begun = time.perf_counter()
            with local_cloud(LocalCloud(Path(folder))):
                taken.append(time.perf_counter() - begun)
    return at_most("serin up, everything ready", middle(taken), "s", _UP_READY_SECONDS)
