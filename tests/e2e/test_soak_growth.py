"""What grows as it should passes; what costs more with every thing that came before it does not."""

import pytest

from tests.e2e.soak_growth import ENOUGH, growth
from tests.e2e.soak_points import Effect


def effects(counts: list[int], listed: int = 0) -> list[Effect]:
    """So many effects before the end of each thing, which are a second apart."""
    return [
        Effect(number + (place + 1) / (count + 1), "check_rows", "storage.list", listed)
        for number, count in enumerate(counts)
        for place in range(count)
    ]


def ends(things: int) -> list[float]:
    return [float(number + 1) for number in range(things)]


def test_the_same_for_each_is_linear() -> None:
    told = growth("operations", effects([4] * 60), 0.0, ends(60))
    assert (told.operations, told.factor, told.linear) == ((4.0, 4.0, 4.0), 1.0, True)
    assert told.line[0] == (1, 4)


def test_what_grows_with_the_history_is_not() -> None:
    told = growth("operations", effects([number + 1 for number in range(60)]), 0.0, ends(60))
    assert told.operations == (10.5, 30.5, 50.5)
    assert not told.linear


def test_a_listing_of_many_pages_counts_as_many_operations() -> None:
    told = growth("operations", effects([1] * 60, listed=2001), 0.0, ends(60))
    assert (told.operations, told.listed) == ((3.0, 3.0, 3.0), (2001.0, 2001.0, 2001.0))


def test_what_was_done_before_the_phase_or_after_the_last_thing_is_none_of_it() -> None:
    told = growth("operations", [*effects([2] * 60), Effect(-5, "f", "e", 0), Effect(99, "f", "e", 0)], 0.0, ends(60))
    assert told.operations == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("things", [0, 2, ENOUGH - 1])
def test_too_few_things_say_nothing(things: int) -> None:
    told = growth("operations", effects([number + 1 for number in range(things)]), 0.0, ends(things))
    assert (told.enough, told.linear) == (False, True)


def test_things_that_no_operation_led_to_were_not_measured() -> None:
    assert not growth("operations", [], 0.0, ends(ENOUGH)).linear


def test_what_is_only_shown_is_not_judged() -> None:
    told = growth("ticks", effects([number + 1 for number in range(60)]), 0.0, ends(60), judged=False)
    assert (told.factor > 2, told.linear) == (True, True)
