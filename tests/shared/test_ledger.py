"""One record per key, whoever races, whatever reply is lost; a claim is taken over only from the dead."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from shared.errors import NotYet, Transient
from shared.events import Notification
from shared.ids import ModelName
from shared.ledger import Author, Ledger, Outcome
from tests.world.cloud import MemoryCloud

KEY = "runs/digits/000001/decision"


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def ledger_of(cloud: MemoryCloud, name: str = "test") -> Ledger:
    return Ledger(cloud.state, Author(name, "cause", None, cloud.now, cloud.token))


def outcome(value: int) -> Outcome:
    return Outcome({"value": value}, (Notification(model=ModelName("digits"), title=f"value {value}"),))


def test_what_stands_is_answered_and_not_computed_again(cloud: MemoryCloud) -> None:
    ledger = ledger_of(cloud)
    first = ledger.once(KEY, lambda: outcome(1))

    def never() -> Outcome:
        raise AssertionError("computed again")

    assert ledger_of(cloud, "another").once(KEY, never) == first


def test_who_comes_second_answers_what_the_first_recorded(cloud: MemoryCloud) -> None:
    second = ledger_of(cloud, "second")

    def beaten() -> Outcome:
        ledger_of(cloud, "first").once(KEY, lambda: outcome(1))
        return outcome(2)

    record = second.once(KEY, beaten)
    assert (record.by, record.data) == ("first", {"value": 1})
    assert [event.id for event in record.events] == [f"{KEY}#0"]


def test_a_create_whose_reply_was_lost_is_recognised_as_our_own(cloud: MemoryCloud) -> None:
    ledger = ledger_of(cloud)
    cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
    with pytest.raises(Transient):
        ledger.record(KEY, outcome(1))
    again = ledger.record(KEY, outcome(2))
    assert again.data == {"value": 1}


def test_of_many_at_once_all_answer_the_same_record() -> None:
    cloud, start = MemoryCloud(), Barrier(8)

    def race(number: int) -> object:
        start.wait()
        return ledger_of(cloud, f"racer {number}").once(KEY, lambda: outcome(number))

    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(race, range(8)))
    assert len({str(record) for record in records}) == 1


def test_the_events_of_a_record_are_read_back_as_they_were_said(cloud: MemoryCloud) -> None:
    ledger = ledger_of(cloud)
    made = ledger.record(KEY, outcome(1))
    read = ledger_of(cloud, "reader").require(KEY)
    assert read == made
    assert read.events[0].cause == "cause"


def test_what_does_not_stand_is_not_yet(cloud: MemoryCloud) -> None:
    ledger = ledger_of(cloud)
    assert ledger.find(KEY) is None
    with pytest.raises(NotYet, match=KEY):
        ledger.require(KEY)


def test_a_live_claim_is_not_taken_over(cloud: MemoryCloud) -> None:
    assert ledger_of(cloud).claim(KEY, 60) == 1
    cloud.pass_time(59)
    with pytest.raises(NotYet):
        ledger_of(cloud, "another").claim(KEY, 60)


def test_a_claim_whose_holder_died_is_taken_over_by_the_next_attempt(cloud: MemoryCloud) -> None:
    ledger_of(cloud).claim(KEY, 60)
    cloud.pass_time(60)
    assert ledger_of(cloud, "another").claim(KEY, 60) == 2
    with pytest.raises(NotYet):
        ledger_of(cloud, "a third").claim(KEY, 60)


def test_a_lease_is_measured_by_the_bucket_and_not_by_the_writer(cloud: MemoryCloud) -> None:
    ledger_of(cloud).claim(KEY, 60)
    fast = Author("fast clock", None, None, lambda: cloud.now().replace(year=2036), cloud.token)
    with pytest.raises(NotYet):
        Ledger(cloud.state, fast).claim(KEY, 60)


def test_of_two_who_take_over_at_once_one_holds_the_claim(cloud: MemoryCloud) -> None:
    ledger_of(cloud).claim(KEY, 60)
    cloud.pass_time(60)
    taken: list[int] = []

    def intruder() -> None:
        # Between the other's look and its create: the first create on the way is the one that asks for the time.
        cloud.door.meanwhile["storage.create"] = lambda: taken.append(ledger_of(cloud, "intruder").claim(KEY, 60))

    cloud.door.meanwhile["storage.create"] = intruder
    with pytest.raises(NotYet):
        ledger_of(cloud, "slower").claim(KEY, 60)
    assert taken == [2]


# Wrong twins: what the tests above must catch.


class OverwritingLedger(Ledger):
    """Writes without the precondition."""

    def record(self, key: str, outcome: Outcome, *_: object) -> object:  # type: ignore[override]
        draft = self._draft(key, outcome)
        self.store.put(key, str(draft).encode())  # type: ignore[attr-defined]
        return draft


class OwnClockLedger(Ledger):
    """Measures leases by its own clock."""

    def server_now(self, *_: object) -> object:  # type: ignore[override]
        return self.author.now()


class ImpatientLedger(Ledger):
    """Takes a claim over whatever its age."""

    def claim(self, key: str, lease_seconds: float) -> int:
        del lease_seconds
        return super().claim(key, 0.0)


def fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except (AssertionError, NotYet, pytest.fail.Exception):
        return True
    return False


def test_a_ledger_that_overwrites_is_caught(cloud: MemoryCloud) -> None:
    ledger = OverwritingLedger(cloud.state, ledger_of(cloud).author)

    def check() -> None:
        cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
        first, second = ledger.record(KEY, outcome(1)), ledger.record(KEY, outcome(2))
        assert first == second

    assert fails(check)


def test_a_lease_by_ones_own_clock_is_caught(cloud: MemoryCloud) -> None:
    ledger_of(cloud).claim(KEY, 60)
    fast = Author("fast clock", None, None, lambda: cloud.now().replace(year=2036), cloud.token)

    def check() -> None:
        with pytest.raises(NotYet):
            OwnClockLedger(cloud.state, fast).claim(KEY, 60)

    assert fails(check)


def test_a_claim_that_does_not_wait_is_caught(cloud: MemoryCloud) -> None:
    ledger_of(cloud).claim(KEY, 60)

    def check() -> None:
        with pytest.raises(NotYet):
            ImpatientLedger(cloud.state, ledger_of(cloud).author).claim(KEY, 60)

    assert fails(check)
