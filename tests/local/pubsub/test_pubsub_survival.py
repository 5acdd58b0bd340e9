"""What survives a kill, what a start takes up again, and that what nobody waits for takes no room."""

import contextlib
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError

from local.pubsub.server import running
from tests.local.pubsub.clients import DEADLINE_SECONDS, LETTERS, SUBSCRIPTION, TOPIC, Clients, Endpoint, lasting


class Process:
    """`python -m local.pubsub`, to be killed."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "local.pubsub", "--port", str(port), "--data", str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.ready = json.loads(self._process.stdout.readline())
        self.port = int(self.ready["port"])
        self.clients = Clients(f"127.0.0.1:{self.port}")

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        os.kill(self._process.pid, number)
        self.clients.close()
        output, errors = self._process.communicate(timeout=10)
        return self._process.returncode, output, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(port: int = 0) -> Process:
        started.append(Process(tmp_path, port))
        return started[-1]

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError, ValueError):
            process.end(signal.SIGKILL)


def test_everything_answered_survives_a_kill_and_leases_are_given_again(
    start: Callable[..., Process], endpoint: Callable[..., Endpoint]
) -> None:
    first = start()
    assert first.ready == {"service": "pubsub", "port": first.port}
    for topic in (TOPIC, LETTERS):
        first.clients.publisher.create_topic(name=topic)
    hearer = endpoint(lambda _body: 500)
    first.clients.subscribe(filter="attributes:wanted", labels={"a": "b"})
    first.clients.subscribe(
        name="projects/p/subscriptions/pushed",
        push_config=hearer.push_config,
        retry_policy={"minimum_backoff": lasting(0.01), "maximum_backoff": lasting(0.01)},
        dead_letter_policy={"dead_letter_topic": LETTERS, "max_delivery_attempts": 100},
    )
    made = list(first.clients.subscriber.list_subscriptions(project="projects/p"))
    numbers = [first.clients.publish(str(number).encode(), wanted="") for number in range(5)]
    gone, *leased = first.clients.ready()
    assert len(leased) == 4
    first.clients.acknowledge(gone.ack_id)
    while hearer.next()["deliveryAttempt"] < 3:
        pass
    returncode, output, errors = first.end(signal.SIGKILL)
    assert (returncode, output, errors) == (-signal.SIGKILL, "", "")

    second = start(first.port)
    assert list(second.clients.subscriber.list_subscriptions(project="projects/p")) == made
    assert [each.message.message_id for each in second.clients.ready()] == numbers[1:]
    assert second.clients.publish(wanted="") > numbers[-1]
    hearer.bodies.queue.clear()
    while (body := hearer.next())["message"]["messageId"] not in numbers:
        pass  # the one that was published just now has few attempts yet
    assert body["deliveryAttempt"] >= 2, "attempts are counted on"
    assert second.end(signal.SIGTERM) == (0, "", "")


def test_a_kill_in_the_middle_of_publishing_loses_nothing_that_was_answered(start: Callable[..., Process]) -> None:
    first = start()
    first.clients.publisher.create_topic(name=TOPIC)
    first.clients.subscribe()
    answered: queue.Queue[str] = queue.Queue()

    def publish() -> None:
        with contextlib.suppress(GoogleAPICallError, ValueError):  # a ValueError is the closed channel
            while True:
                request = {"topic": TOPIC, "messages": [{"data": b"x"}]}
                answered.put(first.clients.publisher.publish(request=request, retry=None).message_ids[0])

    publishers = [threading.Thread(target=publish) for _ in range(4)]
    for each in publishers:
        each.start()
    numbers = {answered.get(timeout=DEADLINE_SECONDS) for _ in range(100)}
    first.end(signal.SIGKILL)
    for each in publishers:
        each.join()
    numbers |= set(answered.queue)
    assert numbers <= {each.message.message_id for each in start().clients.ready(most=1000)}


def test_a_second_server_on_the_same_port_says_so(tmp_path: Path) -> None:
    with (
        running(tmp_path / "one") as server,
        pytest.raises(OSError, match="in use"),
        running(tmp_path / "two", server.port),
    ):
        pass


def test_a_second_server_on_the_same_data_says_so_and_leaves_the_first_alone(start: Callable[..., Process]) -> None:
    first = start()
    first.clients.publisher.create_topic(name=TOPIC)
    command = [sys.executable, "-m", "local.pubsub", "--data", str(first.folder)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (second.returncode, second.stdout, second.stderr) == (1, "", "pubsub: database is locked\n")
    assert first.clients.publisher.get_topic(topic=TOPIC).name == TOPIC


def test_what_everybody_has_acknowledged_takes_no_room(tmp_path: Path) -> None:
    names = [SUBSCRIPTION, "projects/p/subscriptions/other"]
    with running(tmp_path) as server:
        clients = Clients(server.host)
        clients.publisher.create_topic(name=TOPIC)
        clients.publish(b"heard by nobody")
        for name in names:
            clients.subscribe(name=name)
        clients.publish_many(10)
        clients.acknowledge(*[each.ack_id for each in clients.ready(names[0])])
        half = [each.ack_id for each in clients.ready(names[1])]
        clients.subscriber.acknowledge(subscription=names[1], ack_ids=half[:4])
        clients.close()
    assert _rows(tmp_path) == {"topics": 1, "subscriptions": 2, "messages": 6, "deliveries": 6}
    with running(tmp_path) as server:
        clients = Clients(server.host)
        clients.subscriber.delete_subscription(subscription=names[1])
        clients.close()
    assert _rows(tmp_path) == {"topics": 1, "subscriptions": 1, "messages": 0, "deliveries": 0}


def _rows(folder: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(folder / "pubsub.sqlite3")) as database:
        tables = ("topics", "subscriptions", "messages", "deliveries")
        return {table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}
