"""The value machine of a subscription: leases, waits, order, and the invariants under any sequence of events."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local.pubsub.backlog import Backlog, Lease

MUCH = 10**9


def filled(*messages: int) -> Backlog:
    backlog = Backlog()
    for message in messages:
        backlog.put(message, published=float(message), size=10)
    return backlog


def test_messages_are_leased_in_order_and_once() -> None:
    backlog = filled(3, 1, 2)
    assert backlog.lease(10.0, 2, MUCH) == [Lease(1, 1), Lease(2, 1)]
    assert backlog.lease(10.0, 2, MUCH) == [Lease(3, 1)]
    assert backlog.lease(10.0, 2, MUCH) == []


def test_a_lease_takes_bytes_until_none_are_left() -> None:
    assert filled(1, 2, 3).lease(10.0, 5, most_bytes=11) == [Lease(1, 1), Lease(2, 1)]
    assert filled(1).lease(10.0, 5, most_bytes=0) == []


def test_a_lease_that_ends_is_told_once_and_stays_a_lease_until_it_is_given_back() -> None:
    backlog = filled(1)
    backlog.lease(10.0, 1, MUCH)
    assert backlog.next_end() == 10.0
    assert backlog.advance(9.9) == []
    assert backlog.advance(10.0) == [Lease(1, 1)]
    assert backlog.advance(11.0) == []
    backlog.wait(1, 12.0)
    assert backlog.lease(20.0, 1, MUCH) == []
    assert (backlog.next_end(), backlog.advance(12.0)) == (12.0, [])
    assert backlog.lease(20.0, 1, MUCH) == [Lease(1, 2)]


def test_an_extended_lease_ends_later_or_sooner() -> None:
    backlog = filled(1)
    backlog.lease(10.0, 1, MUCH)
    backlog.extend(1, 30.0)
    assert (backlog.advance(10.0), backlog.next_end()) == ([], 30.0)
    backlog.extend(1, 20.0)
    assert (backlog.next_end(), backlog.advance(20.0)) == (20.0, [Lease(1, 1)])


def test_a_holder_is_told_once_when_its_lease_ends_for_whatever_reason() -> None:
    told: list[int] = []
    backlog = filled(1, 2, 3)
    backlog.lease(10.0, 3, MUCH, told.append)
    backlog.remove(1)
    backlog.wait(2, 11.0)
    assert told == [10, 10]
    assert (backlog.clear(), told) == ([2, 3], [10, 10, 10])


def test_only_the_latest_attempt_holds_a_message() -> None:
    backlog = filled(1)
    backlog.lease(10.0, 1, MUCH)
    backlog.wait(1, 11.0)
    assert (backlog.holds(1, 1), backlog.is_leased(1, 1)) == (True, False)
    backlog.advance(11.0)
    backlog.lease(20.0, 1, MUCH)
    assert (backlog.holds(1, 1), backlog.holds(1, 2), backlog.is_leased(1, 2)) == (False, True, True)


def test_the_old_are_found_by_their_age() -> None:
    assert filled(1, 2, 3).published_before(3.0) == [1, 2]


class Life(RuleBasedStateMachine):
    """Any sequence of events: no message is lost, none is out twice, and every holder is told exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog, self.now, self.last = Backlog(), 0.0, 0
        self.left: set[int] = set()
        self.out: dict[int, Lease] = {}
        self.held = 0

    def released(self, _size: int) -> None:
        self.held -= 1

    @rule()
    def publish(self) -> None:
        self.last += 1
        self.left.add(self.last)
        self.backlog.put(self.last, self.now, 1)

    @rule(most=st.integers(1, 3), seconds=st.floats(1, 5))
    def lease(self, most: int, seconds: float) -> None:
        for lease in self.backlog.lease(self.now + seconds, most, MUCH, self.released):
            assert lease.message in self.left
            assert lease.message not in self.out
            self.out[lease.message] = lease
            self.held += 1

    @precondition(lambda self: self.out)
    @rule(data=st.data(), end=st.sampled_from(["acknowledge", "give back", "extend"]))
    def answer(self, data: st.DataObject, end: str) -> None:
        message = data.draw(st.sampled_from(sorted(self.out)))
        if end == "extend":
            self.backlog.extend(message, self.now + 3)
        elif end == "give back":
            del self.out[message]
            self.backlog.wait(message, self.now + 1)
        else:
            del self.out[message]
            self.left.discard(message)
            self.backlog.remove(message)

    @rule(seconds=st.floats(0, 4))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for lease in self.backlog.advance(self.now):
            assert self.out.pop(lease.message) == lease
            self.backlog.wait(lease.message, self.now + 1)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.backlog) == len(self.left)
        assert all(message in self.backlog for message in self.left)
        assert self.held == len(self.out)
        end = self.backlog.next_end()
        assert end is None or end > self.now

    def teardown(self) -> None:
        """Whatever has happened, after a while everything that is left can be leased."""
        for message in sorted(self.out):
            self.backlog.wait(message, self.now)
        self.backlog.advance(self.now + 10)
        assert {lease.message for lease in self.backlog.lease(self.now + 20, MUCH, MUCH)} == self.left


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
