"""From the drop to the end, whatever goes wrong at one place: every run ends, nothing is lost, somebody is told.

After a fault the message comes again, or is given up for good, and then only `reconcile` can go on. In whatever order
messages come, the end is the same. `make faults` tries every fault at every effect, each function's clock wrong by
itself, thousands of pairs and of orders.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import pytest

from shared.wiring import FUNCTIONS
from tests.faults.effects import effect_names
from tests.faults.faulting import faults_of, moments, shuffled, silent, skewed, survive
from tests.faults.kinds import kinds_of
from tests.faults.stories import STORIES, promoted
from tests.faults.whole_run import Play

FIVE_MINUTES = 300.0
# Before a message is looked at, and after it was handled; both only where they are configured, with tests of their own.
OUTSIDE_OF_RUNS = frozenset({"oidc.keys", "otlp.export"})

# A job of Cloud Run is known by its run's and attempt's name: nobody ever has a second one to cancel.
NEVER = frozenset({"run.cancel_execution"})


@pytest.mark.timeout(600)
@pytest.mark.parametrize("story", STORIES)
def test_every_single_fault_is_survived(story: Callable[[], Play]) -> None:
    _, seen = chosen(STORIES[: STORIES.index(story)])
    with silent():
        play = story()
    found = survive(play, seen=seen)
    sys.stdout.write(f"{found.forks} forks, {found.rejoined} rejoined, {found.known} known, {found.deliveries} more\n")
    assert found.wrong == []
    assert sum(found.met.values()) == found.forks


def test_every_effect_meets_every_fault_of_its_own() -> None:
    met, _ = chosen(STORIES)
    assert met == {effect: set(kinds_of(effect)) for effect in effect_names() - OUTSIDE_OF_RUNS - NEVER}


def chosen(stories: Sequence[Callable[[], Play]]) -> tuple[dict[str, set[str]], Counter[object]]:
    """Which faults each effect meets in these stories, and what need not be tried again."""
    met: dict[str, set[str]] = defaultdict(set)
    seen: Counter[object] = Counter()
    for story in stories:
        with silent():
            points = moments(story())
        for moment in points:
            for place, fault in faults_of(moment, seen, everything=False):
                met[moment.effects[place]].add(fault.kind)
    return met, seen


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("story", STORIES)
def test_messages_in_any_order_some_of_them_again_change_no_end(story: Callable[[], Play], seed: int) -> None:
    assert shuffled(story, seed) == ""


@pytest.mark.parametrize("ahead", [True, False], ids=["one ahead, the next behind", "one behind, the next ahead"])
def test_clocks_that_are_five_minutes_off_change_no_end(ahead: bool) -> None:
    places = {function: 1 if (place % 2 == 0) is ahead else -1 for place, function in enumerate(FUNCTIONS)}
    assert skewed(promoted, {function: sign * FIVE_MINUTES for function, sign in places.items()}) == ""
