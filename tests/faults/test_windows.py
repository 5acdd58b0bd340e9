"""The window protocol: uploads come in while their window is closed; each row ends in exactly one window."""

import random

import pytest

from tests.faults.exploration import explored_within
from tests.faults.replaying import Exploration, situation
from tests.faults.scheduler import Budget

MOST_RUNS = 100_000
pytestmark = pytest.mark.timeout(600)
SLICE = 700
"""Of the more than nine thousand orders with one switch, all of which `make faults` tries."""


def wrong(exploration: Exploration) -> list[str]:
    return exploration.wrong(exploration.explore(MOST_RUNS))


def test_every_row_ends_in_exactly_one_window() -> None:
    assert wrong(Exploration("windows, 2 uploads, 1 closers", Budget(switches=1))) == []


def test_every_row_ends_in_exactly_one_window_whoever_dies() -> None:
    assert wrong(Exploration("windows, 1 uploads, 2 closers", Budget(crashes=1, switches=1))) == []


def test_three_uploads_and_two_closers_one_after_the_other_in_every_order() -> None:
    exploration = Exploration("windows, 3 uploads, 2 closers", Budget(switches=0))
    found = exploration.explore(MOST_RUNS)
    assert exploration.wrong(found) == []
    assert 60 < found.runs < 5 * 4 * 3 * 2, "each order, but for those that came to where another had been"


def test_three_uploads_and_two_closers_beside_each_other() -> None:
    """A slice of every order with one switch, drawn with a seed."""
    exploration = Exploration("windows, 3 uploads, 2 closers", Budget(switches=1))
    runs = iter(range(SLICE))
    over = lambda: next(runs, None) is None  # noqa: E731
    found = explored_within(situation(exploration.name), exploration.budget, over, random.Random(1)).explored
    assert exploration.wrong(found) == []
    assert found.states > SLICE / 2
