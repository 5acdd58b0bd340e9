"""Every interval has a number of its own and about its length, whatever the clock does meanwhile."""

import pytest

from serving_image.account import Account, Interval
from shared.distributions import Distributions

SECONDS = 60.0


class Nothing:
    """Counts nothing."""

    def take(self) -> Distributions:
        return Distributions()


class Clocks:
    """A clock that people set, and one that nobody sets."""

    def __init__(self, now: float, speed: float = 1.0) -> None:
        self.now = now
        self.steady = 1e6
        self.speed = speed

    def wait(self, seconds: float) -> None:
        self.steady += seconds
        self.now += seconds * self.speed


def account(clocks: Clocks, ended: list[Interval]) -> Account:
    return Account(SECONDS, Nothing(), ended.append, lambda: clocks.now, lambda: clocks.steady)


def lived(counting: Account, clocks: Clocks, seconds: float) -> None:
    """As the server lives: it looks whenever the interval should be over, and at least once a second."""
    end = clocks.steady + seconds
    while clocks.steady < end:
        clocks.wait(max(0.001, min(1.0, counting.seconds_left)))
        if counting.seconds_left <= 0:
            counting.turn()


@pytest.mark.parametrize("speed", [0.5, 0.97, 1.0, 1.03, 3.0])
def test_no_interval_is_numbered_twice_however_the_clock_runs(speed: float) -> None:
    clocks, ended = Clocks(600.0, speed), list[Interval]()
    lived(account(clocks, ended), clocks, 1200)
    numbers = [each.number for each in ended]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 20


def test_an_interval_ends_with_its_minute() -> None:
    clocks, ended = Clocks(645.0), list[Interval]()
    counting = account(clocks, ended)
    assert counting.seconds_left == 15.0
    lived(counting, clocks, 135)
    assert [each.number for each in ended] == [10, 11, 12]


@pytest.mark.parametrize("jump", [-86_400.0, -61.0, -1.0, 1.0, 61.0, 86_400.0])
def test_a_clock_that_is_set_silences_nobody(jump: float) -> None:
    clocks, ended = Clocks(600_000.0), list[Interval]()
    counting = account(clocks, ended)
    lived(counting, clocks, 30)
    clocks.now += jump
    lived(counting, clocks, 300)
    numbers = [each.number for each in ended]
    assert numbers == sorted(set(numbers))
    assert 4 <= len(numbers) <= 7


def test_what_is_counted_after_an_interval_is_not_in_it_though_nobody_looked() -> None:
    clocks, ended = Clocks(600.0), list[Interval]()
    counting = account(clocks, ended)
    counting.answered(0.01, 2)
    clocks.wait(185)
    counting.answered(0.01, 3, 1)
    counting.failed()
    counting.refused(2)
    assert [(each.number, each.rows) for each in ended] == [(10, 2)]
    counting.turn()
    last = ended[-1]
    assert (last.number, last.requests, last.errors, last.client_errors, last.rows, last.bad_rows) == (
        13,
        2,
        1,
        1,
        3,
        3,
    )
    assert counting.ever().requests == 3
