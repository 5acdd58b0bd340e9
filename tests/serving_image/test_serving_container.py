"""The real process, started as each platform starts it: what it answers, how it stops, and what it has told by then."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.processes import free_port, without_credentials
from local.pubsub.server import running
from shared.envelope import Message, decode
from shared.events import EvidenceReported
from tests.local.pubsub.clients import SUBSCRIPTION, Clients
from tests.serving_image.toys import KEY, artefacts, instances

READY_SECONDS = 60.0
CALLERS = 8
TOPIC = "projects/p/topics/evidence-reported"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fetched = artefacts()
    files = {
        "model.onnx": fetched.graph, "signature.json": fetched.signature, "anomaly.onnx": fetched.anomaly,
        "baseline.json": fetched.baseline, "1": KEY.hex().encode(),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content or b"")
    return tmp_path


@contextmanager
def started(variables: Mapping[str, str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    known = {**without_credentials(os.environ), "SERIN_HOST": "127.0.0.1", **variables}
    with subprocess.Popen([sys.executable, "-m", "serving_image"], env=known, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: process.poll() is not None or healthy(port), READY_SECONDS)
            yield process
        finally:
            process.kill()


def until(truth: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def asked(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def healthy(port: int) -> bool:
    try:
        return asked(port, "GET", "/health")[0] == 200
    except OSError:
        return False


def test_a_folder_and_a_port_are_all_it_needs(folder: Path) -> None:
    port = free_port()
    variables = {"ARTIFACTS_DIR": str(folder), "PORT": str(port), "MODEL_VERSION": "v7"}
    with started(variables, port) as process:
        status, content = asked(port, "GET", "/health")
        assert (status, json.loads(content)) == (
            200,
            {"status": "ok", "model_version": "v7", "supervised_loaded": True, "unsupervised_loaded": True},
        )
        status, content = asked(port, "POST", "/score", instances(1)[0])
        answer = json.loads(content)
        assert (status, answer["model_version"], answer["receipt"]) == (200, "v7", None)
        assert asked(port, "POST", "/predict", {"instances": [7]})[0] == 400
        assert b'serin_requests_total{outcome="answered"} 1\n' in asked(port, "GET", "/metrics")[1]
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr is not None and process.stderr.read() == b""


def test_without_artefacts_it_says_what_is_missing_and_ends(tmp_path: Path) -> None:
    port = free_port()
    with started({"ARTIFACTS_DIR": str(tmp_path), "PORT": str(port)}, port) as process:
        assert process.wait(10) == 2
        assert process.stderr is not None and b"model.onnx" in process.stderr.read()


class Caller(threading.Thread):
    """Asks over one connection for as long as that is kept open."""

    def __init__(self, port: int, number: int) -> None:
        super().__init__()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.body = json.dumps({"instances": instances(1 + number)})
        self.rows = 1 + number
        self.answered = 0
        self.unanswered = 0

    def run(self) -> None:
        self.connection.connect()
        self.connection.auto_open = 0
        while self.connection.sock is not None:
            try:
                self.connection.request("POST", "/answer", self.body)
                answer = self.connection.getresponse()
                receipts = [each["receipt"] for each in json.loads(answer.read())["predictions"]]
                assert len(receipts) == self.rows
                self.answered += 1
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                return


def test_told_to_stop_it_loses_no_request_that_was_accepted_and_no_evidence(folder: Path) -> None:
    port = free_port()
    with running(folder / "pubsub") as pubsub:
        clients = Clients(pubsub.host)
        clients.publisher.create_topic(name=TOPIC)
        clients.subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC})
        variables = {
            "AIP_STORAGE_URI": str(folder), "AIP_HTTP_PORT": str(port), "AIP_HEALTH_ROUTE": "/live",
            "AIP_PREDICT_ROUTE": "/answer", "AIP_ENDPOINT_ID": "serin-toys", "AIP_DEPLOYED_MODEL_ID": "3",
            "SERIN_MODEL": "toys", "SERIN_RUN": "toys-000001", "SERIN_RECEIPT_KEY_URI": str(folder / "1"),
            "SERIN_REPORT_SECONDS": "0.3", "GOOGLE_CLOUD_PROJECT": "p", "PUBSUB_EMULATOR_HOST": pubsub.host,
        }  # fmt: skip
        with started(variables, port) as process:
            callers = [Caller(port, number) for number in range(CALLERS)]
            for caller in callers:
                caller.start()
            until(lambda: all(caller.answered >= 20 for caller in callers), 30)
            first = heard_at_last(clients)
            process.send_signal(signal.SIGTERM)
            assert (process.wait(15), process.stderr.read()) == (0, b"")  # type: ignore[union-attr]
            for caller in callers:
                caller.join()
                caller.connection.close()
        reports = list({**first, **heard(clients)}.values())
        clients.close()
    assert [caller.unanswered for caller in callers] == [0] * CALLERS
    assert sum(each.requests for each in reports) == sum(caller.answered for caller in callers)
    assert sum(each.rows for each in reports) == sum(caller.answered * caller.rows for caller in callers)
    assert sum(sum(each.predictions["label"]) for each in reports if each.baseline) == sum(
        each.rows for each in reports
    )
    numbers = [each.interval for each in reports]
    assert len(set(numbers)) == len(numbers)
    assert {(each.errors, each.client_errors, each.deployed_model) for each in reports} == {(0, 0, "3")}


def heard_at_last(clients: Clients) -> dict[str, EvidenceReported]:
    found: dict[str, EvidenceReported] = {}
    until(lambda: bool(found.update(heard(clients)) or found), 30)
    return found


def heard(clients: Clients) -> dict[str, EvidenceReported]:
    """What has been published since it was last asked."""
    found: dict[str, EvidenceReported] = {}
    while pulled := clients.ready():
        for each in pulled:
            event = decode(Message(dict(each.message.attributes), each.message.data))
            assert isinstance(event.payload, EvidenceReported)
            found[event.id] = event.payload
        clients.acknowledge(*[each.ack_id for each in pulled])
    return found
