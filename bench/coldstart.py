"""From the start of a function's process to its first event handled, as a multiple of a functions-framework hello."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.report import Row, at_most, middle
from bench.situations import CALL_VERTEX, STARTED, Situation
from local.processes import Child, Processes, free_port, wait_for_port, without_credentials
from local.supervisor import PROJECT, Installation, installed
from shared.envelope import Message
from shared.environment import GoogleCloud, read_environment
from shared.ids import ModelName
from shared.wiring import TOPICS

ROUNDS = 3
LIMIT = 4.5
LIMIT_WITH_VERTEX = 10.0
_READY_SECONDS = 30.0
_ROOT = Path(__file__).parents[1]
_HELLO = """
import functions_framework

@functions_framework.cloud_event
def hello(event):
    print("hello")
"""


def measured() -> list[Row]:
    """One row per function: the median of its rounds over the median of hello's, measured in turns."""
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder, services(Path(folder) / "home") as known:
        variables = {**without_credentials(os.environ), **known}
        hello = Path(folder) / "main.py"
        hello.write_text(_HELLO)
        cloud = GoogleCloud(read_environment(known))
        taken: dict[str, list[float]] = {name: [] for name in ("hello", *STARTED)}
        for number in range(ROUNDS):
            taken["hello"].append(_first_event(hello, "hello", "greetings", Message({}, b"{}"), variables))
            for name, prepare in STARTED.items():
                topic, message = prepare(Situation(cloud, ModelName(f"{name.replace('_', '-')}-{number}")))
                source = _ROOT / "functions" / name / "main.py"
                taken[name].append(_first_event(source, name, topic, message, variables))
    base = middle(taken["hello"])
    rows = [Row("functions-framework hello: process start to first event", 1000 * base, "ms")]
    for name in STARTED:
        limit = LIMIT_WITH_VERTEX if name in CALL_VERTEX else LIMIT
        rows.append(at_most(f"{name}: process start to first event", middle(taken[name]) / base, "× hello", limit))
    return rows


def _first_event(source: Path, target: str, topic: str, message: Message, variables: Mapping[str, str]) -> float:
    """Seconds from the start of a function's process until it has answered its first event with 200."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", target]
    begun = time.perf_counter()
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)], env=dict(variables), stdout=subprocess.DEVNULL
    ) as process:
        try:
            if not wait_for_port(port, process, _READY_SECONDS):
                raise RuntimeError(f"{target} did not start")
            status = push(port, topic, message)
            seconds = time.perf_counter() - begun
        finally:
            process.terminate()
    if status != 200:
        raise RuntimeError(f"{target} answered {status}")
    return seconds


def push(port: int, topic: str, message: Message, timeout_seconds: float = 600) -> int:
    """Sends a message as Pub/Sub would; answers the status."""
    pushed = {
        "message": {
            "data": base64.b64encode(message.data).decode(), "attributes": dict(message.attributes), "messageId": "1",
            "publishTime": "2026-01-01T00:00:00Z",
        },
        "subscription": "projects/serin-local/subscriptions/bench",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}/projects/{PROJECT}/topics/{topic}"
    request = urllib.request.Request(url, json.dumps(pushed).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
        return int(answer.status)


@contextmanager
def services(home: Path, wanted: Sequence[str] = ("pubsub", "storage", "vertex")) -> Iterator[dict[str, str]]:
    """These services of the local cloud, with nobody subscribed; answers what they add to a function's environment."""
    installation = installed(home, 1.0, 0)
    # Whoever measures pushes by hand, and has no tokens.
    added = {name: value for name, value in installation.environment.items() if not name.startswith("SERIN_PUSH_")}
    known = {**without_credentials(os.environ), **added}
    images = {name: {"command": ["true"]} for name in ("serin-training:local", "serin-serving:local")}
    (home / "images.json").write_text(json.dumps(images))
    processes, children, before = Processes(home / "bench"), list[Child](), dict(os.environ)
    try:
        for name in wanted:
            children.append(processes.start(installation.commands[name], known, home / "logs" / f"{name}.log", _ROOT))
        for name, child in zip(wanted, children, strict=True):
            if not wait_for_port(installation.ports[name], child, _READY_SECONDS):
                raise RuntimeError(f"{name} did not start")
        os.environ.update(added)
        _make(installation)
        yield added
    finally:
        os.environ.clear()
        os.environ.update(before)
        processes.stop_all(children)


def _make(installation: Installation) -> None:
    from google.cloud import pubsub_v1, storage

    publisher = pubsub_v1.PublisherClient()
    for topic in TOPICS:
        publisher.create_topic(name=f"projects/{PROJECT}/topics/{topic}")
    client = storage.Client(project=PROJECT)
    for name in ("SERIN_DATA_BUCKET", "SERIN_STATE_BUCKET", "SERIN_ARTEFACTS_BUCKET"):
        client.create_bucket(installation.environment[name])
