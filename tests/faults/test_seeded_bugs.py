"""The explorer finds what it is there to find: mistakes put into the real code, at least one at each guard."""

import contextlib

import pytest

from tests.faults.bugs import BUGS, Explorer, Finder
from tests.faults.exploration import explored, replay
from tests.faults.scheduler import Budget
from tests.faults.seeding import Bug, seeded
from tests.faults.situations import deployment_and_rollback

FINDERS = {
    (finder.case.__name__, str(finder.budget)): finder
    for _, finder in BUGS
    if isinstance(finder, Explorer) and finder.case.__name__ != "<lambda>"
}
ZERO_PERCENT = next(bug for bug, _ in BUGS if bug.name == "stops at zero percent")


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


def test_a_failure_is_one_line_that_plays_it_again() -> None:
    with seeded(ZERO_PERCENT):
        ((choices, told),) = explored(deployment_and_rollback(), Budget(switches=1)).failures
        assert replay(deployment_and_rollback(), Budget(switches=1), choices) == told
    with contextlib.suppress(IndexError):
        assert replay(deployment_and_rollback(), Budget(switches=1), choices) == ""
