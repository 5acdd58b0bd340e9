"""Delivery without a network: who is told what, and when."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.storage.database import open_database
from local.storage.delivery import Delivery, Pauses
from local.storage.outbox import Outbox, Outgoing

TOPIC = "projects/p/topics/t"
WEEK_US = 7 * 24 * 3600 * 1_000_000


class FakePublisher:
    """Refuses as often as it was told, then takes everything."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.taken: list[list[int]] = []

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> None:
        assert topic == TOPIC
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("nobody listens")
        self.taken.append([message.id for message in messages])

    def close(self) -> None:
        pass


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return open_database(tmp_path / "storage.sqlite")


def put_out(connection: sqlite3.Connection, count: int, created_us: int = 0) -> None:
    rows = [(TOPIC, created_us, "{}", b"")] * count
    connection.executemany("INSERT INTO outbox (topic, created_us, attributes, data) VALUES (?, ?, ?, ?)", rows)


def deliver(connection: sqlite3.Connection, publisher: FakePublisher, now_us: int = 0) -> list[str]:
    """Deliver until the outbox is empty; the topics that are left then."""
    outbox = Outbox(connection)

    async def run() -> list[str]:
        delivery = Delivery(outbox, publisher, lambda: now_us, Pauses(0.001, 0.008))
        delivery.wake([TOPIC])
        delivery.wake([TOPIC])
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert len(others) == 1
        await asyncio.gather(*others)
        return outbox.topics()

    return asyncio.run(run())


def test_messages_go_out_in_order_in_batches_and_leave_the_outbox(connection: sqlite3.Connection) -> None:
    publisher = FakePublisher(refusals=0)
    put_out(connection, 250)

    assert deliver(connection, publisher) == []
    assert publisher.taken == [list(range(1, 101)), list(range(101, 201)), list(range(201, 251))]


def test_a_short_absence_is_nobodys_business(connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture) -> None:
    put_out(connection, 1)

    deliver(connection, FakePublisher(refusals=2))

    assert caplog.messages == []


def test_a_long_absence_is_told_once_and_survived(
    connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = FakePublisher(refusals=8)
    put_out(connection, 1)

    deliver(connection, publisher)

    assert caplog.messages == [f"notifications wait for {TOPIC}, which does not take them: nobody listens"]
    assert publisher.taken == [[1]]


def test_what_nobody_took_for_a_week_is_given_up(connection: sqlite3.Connection) -> None:
    publisher = FakePublisher(refusals=1)
    put_out(connection, 2)
    put_out(connection, 1, created_us=2)

    deliver(connection, publisher, now_us=WEEK_US + 1)

    assert publisher.taken == [[3]]
