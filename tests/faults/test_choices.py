"""The explorer itself: it tries every way, no way twice, and finds what is there to be found."""

from math import comb

import pytest

from tests.faults.choices import Choices, explore


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 2), (4, 4), (6, 3)])
def test_two_lists_of_steps_can_be_merged_in_as_many_ways_as_the_formula_says(first: int, second: int) -> None:
    ways: set[tuple[int, ...]] = set()

    def merge(choices: Choices) -> str:
        left, order = [first, second], []
        while any(left):
            able = [each for each in (0, 1) if left[each]]
            branch = choices.pick(len(able), lambda: (tuple(order), "no two are the same")) if len(able) > 1 else 0
            left[able[branch]] -= 1
            order.append(able[branch])
        assert tuple(order) not in ways
        ways.add(tuple(order))
        return ""

    found = explore(merge, 100_000)
    assert len(ways) == comb(first + second, first) == found.runs


def test_equal_states_are_looked_at_once() -> None:
    def count(choices: Choices) -> str:
        total = 0
        for step in range(10):
            total += choices.pick(2, lambda step=step, total=total: (step, total))
        return ""

    found = explore(count, 1000)
    assert found.states == sum(range(1, 11))
    assert found.runs < 2**10


def test_a_failure_is_its_choices() -> None:
    def run(choices: Choices) -> str:
        picked = [choices.pick(3, lambda: tuple(choices.taken)) for _ in range(4)]
        return "found" if picked == [2, 0, 1, 2] else ""

    found = explore(run, 1000)
    assert found.failures == [([2, 0, 1, 2], "found")]
    assert run(Choices([2, 0, 1, 2], set())) == "found"


def test_too_many_runs_are_not_passed_off_as_all() -> None:
    with pytest.raises(RuntimeError, match="more than 10 runs"):
        explore(lambda choices: str(choices.pick(2, object) + choices.pick(1000, object))[:0], 10)
