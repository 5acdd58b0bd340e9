"""Every interval is published once, under its own id, in order, whatever Pub/Sub does meanwhile."""

import time
from collections.abc import Callable, Iterator

import pytest

from serving_image.account import Interval
from serving_image.configuration import Identity
from serving_image.reporter import Reporter
from serving_image.reports import publisher
from shared.errors import Transient
from shared.events import EvidenceReported
from shared.ids import ModelName, RunId
from tests.world.cloud import MemoryCloud

IDENTITY = Identity(ModelName("toys"), RunId("toys-000001"), "serin-toys", "3", "abcd", 60.0)


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


@pytest.fixture
def reporter(cloud: MemoryCloud) -> Iterator[Reporter]:
    reporter = Reporter(lambda: publisher(IDENTITY, cloud))
    reporter.start()
    yield reporter
    reporter.stop(0.0)


def until(truth: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


def told(cloud: MemoryCloud) -> list[EvidenceReported]:
    return [event.payload for event in cloud.bus.events() if isinstance(event.payload, EvidenceReported)]


def test_intervals_are_published_in_order_and_an_empty_one_too(cloud: MemoryCloud, reporter: Reporter) -> None:
    for number in range(5):
        reporter.add(Interval(number, requests=number))
    until(lambda: len(told(cloud)) == 5)
    assert [(each.interval, each.requests, each.reporter) for each in told(cloud)] == [
        (number, number, "abcd") for number in range(5)
    ]


def test_a_report_that_could_not_be_published_is_tried_again_under_its_id(
    cloud: MemoryCloud, reporter: Reporter
) -> None:
    cloud.door.after["pubsub.publish"] = Transient("pubsub.publish", "reply lost")
    reporter.add(Interval(7, requests=1))
    reporter.add(Interval(8))
    until(lambda: len(told(cloud)) >= 3)
    first, again, _ = cloud.bus.events()
    assert first == again
    assert [each.interval for each in told(cloud)] == [7, 7, 8]


def test_when_it_stops_what_waits_is_published(cloud: MemoryCloud, reporter: Reporter) -> None:
    for number in range(200):
        reporter.add(Interval(number))
    assert reporter.stop() == 0
    assert [each.interval for each in told(cloud)] == list(range(200))


class Down:
    """A door behind which nothing is reached."""

    def __call__(self, effect: str, act: Callable[[], object]) -> object:  # noqa: ARG002
        raise Transient(effect, "down")


def test_it_says_how_much_was_lost_when_nothing_can_be_published() -> None:
    reporter = Reporter(lambda: publisher(IDENTITY, MemoryCloud(door=Down())))
    reporter.start()
    reporter.add(Interval(1))
    reporter.add(Interval(2))
    assert reporter.stop(0.2) == 2
