"""The explorer finds what it is there to find: mistakes put into the real code, at least one at each guard."""

import pytest

from tests.faults.bugs import BUGS, MOST_RUNS, Explorer, Finder
from tests.faults.faulting import survive
from tests.faults.replaying import Exploration
from tests.faults.scheduler import Budget
from tests.faults.seeding import Bug, pasted, seeded
from tests.faults.stories import promoted

FINDERS = {
    (finder.case.__name__, str(finder.budget)): finder
    for _, finder in BUGS
    if isinstance(finder, Explorer) and finder.case.__name__ != "<lambda>"
}


def named(name: str) -> Bug:
    return next(bug for bug, _ in BUGS if bug.name == name)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("bug", "finder"), BUGS, ids=[bug.name for bug, _ in BUGS])
def test_a_seeded_bug_is_found(bug: Bug, finder: Finder) -> None:
    with seeded(bug):
        try:
            found: list[object] = [*finder()]
        except AssertionError as undisturbed:
            found = [undisturbed]
    assert found, f"{bug.name} was not found"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("finder", FINDERS.values(), ids=["-".join(name[:1]) for name in FINDERS])
def test_the_code_as_it_is_passes_what_finds_the_bugs(finder: Explorer) -> None:
    assert finder() == []


def test_there_are_at_least_twenty_bugs_and_no_two_are_the_same() -> None:
    assert len({(bug.path, bug.old, bug.new) for bug, _ in BUGS}) == len(BUGS) >= 20


def test_a_patch_that_fits_no_longer_is_told() -> None:
    for wrong in (
        Bug("gone", "shared/ledger.py", "no such line", ""),
        Bug("idle", "shared/ledger.py", "# Where ", "#"),
    ):
        with pytest.raises(AssertionError, match=wrong.name), seeded(wrong):
            pass


def test_a_failure_of_two_deliveries_is_a_line_that_fails_with_the_mistake_and_passes_without() -> None:
    exploration = Exploration("deployment_and_rollback", Budget(switches=1))
    with seeded(named("stops at zero percent")):
        (wrong,) = exploration.wrong(exploration.explore(MOST_RUNS))
        line = wrong.splitlines()[-1]
        with pytest.raises(AssertionError):
            pasted(line)
    assert line.startswith('assert replay("deployment_and_rollback", [')
    pasted(line)


def test_a_failure_of_a_whole_run_is_a_line_that_fails_with_the_mistake_and_passes_without() -> None:
    with seeded(named("notes a notice as told before it is")):
        (wrong,) = survive(promoted(), only="notify", enough=1).wrong
        line = wrong.splitlines()[-1]
        with pytest.raises(AssertionError):
            pasted(line)
    assert line.startswith('assert replay("promoted", [*[0] * ')
    pasted(line)
