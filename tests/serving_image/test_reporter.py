"""Every interval is reported under a number of its own, whatever the clock and Pub/Sub do meanwhile."""

import time
from collections.abc import Callable, Iterator

import pytest

from serving_image.account import Account
from serving_image.reporter import Identity, Reporter, interval_of
from shared.errors import Transient
from shared.events import EvidenceReported
from shared.ids import ModelName, RunId
from tests.world.cloud import MemoryCloud

SECONDS = 0.04
IDENTITY = Identity(ModelName("toys"), RunId("toys-000001"), "serin-toys", "3", "abcd", SECONDS)
Start = Callable[..., Reporter]


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


@pytest.fixture
def account() -> Account:
    return Account(interval_of(time.time(), SECONDS))


@pytest.fixture
def start(cloud: MemoryCloud, account: Account) -> Iterator[Start]:
    made: list[Reporter] = []

    def started(clock: Callable[[], float] = time.time) -> Reporter:
        made.append(Reporter(IDENTITY, account, cloud, clock))
        made[-1].start()
        return made[-1]

    yield started
    for reporter in made:
        reporter.stop()


def until(truth: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


def told(cloud: MemoryCloud) -> list[EvidenceReported]:
    return [event.payload for event in cloud.bus.events() if isinstance(event.payload, EvidenceReported)]


def test_it_says_that_it_lives_although_nobody_asks_it_anything(cloud: MemoryCloud, start: Start) -> None:
    start()
    until(lambda: len(told(cloud)) >= 4)
    assert {(each.requests, each.rows, each.reporter) for each in told(cloud)} == {(0, 0, "abcd")}


def test_every_answer_is_in_exactly_one_report(cloud: MemoryCloud, account: Account, start: Start) -> None:
    reporter, answered = start(), 0
    while len(told(cloud)) < 5:
        account.answered(0.01, 2)
        answered += 1
    reporter.stop()
    assert sum(each.requests for each in told(cloud)) == answered
    assert sum(each.rows for each in told(cloud)) == 2 * answered


@pytest.mark.parametrize("speed", [0.5, 0.97, 1.0, 3.0], ids=["half", "slow", "true", "fast"])
def test_no_interval_is_reported_twice_however_the_clock_runs(cloud: MemoryCloud, start: Start, speed: float) -> None:
    # A clock that is being slewed wakes us early: what comes after must not be lost under the number before.
    begun = time.time()
    start(lambda: begun + (time.time() - begun) * speed)
    until(lambda: len(told(cloud)) >= 8)
    numbers = [each.interval for each in told(cloud)]
    assert numbers == sorted(set(numbers))


def test_a_clock_that_is_set_back_silences_nobody(cloud: MemoryCloud, start: Start) -> None:
    start(lambda: time.time() - (3600 if told(cloud) else 0))
    until(lambda: len(told(cloud)) >= 5)
    numbers = [each.interval for each in told(cloud)]
    assert numbers == sorted(set(numbers))


def test_a_report_that_could_not_be_published_is_tried_again_under_its_id(
    cloud: MemoryCloud, account: Account, start: Start
) -> None:
    account.answered(0.01, 1)
    cloud.door.after["pubsub.publish"] = Transient("pubsub.publish", "reply lost")
    start()
    until(lambda: len(told(cloud)) >= 2)
    first, again = cloud.bus.events()[:2]
    assert first == again
    assert told(cloud)[0].requests == 1


def test_when_it_stops_the_interval_that_runs_is_reported(cloud: MemoryCloud) -> None:
    long = Identity(ModelName("toys"), RunId("toys-000001"), "serin-toys", "3", "abcd", 3600.0)
    account = Account(interval_of(time.time(), 3600.0))
    reporter = Reporter(long, account, cloud)
    reporter.start()
    account.answered(0.01, 3)
    reporter.stop()
    assert [(each.requests, each.rows) for each in told(cloud)] == [(1, 3)]
