"""The window protocol: uploads come in while their window is closed; each row ends in exactly one window."""

from tests.faults.exploration import explored
from tests.faults.scheduler import Budget
from tests.faults.windows import uploads_and_closers


def test_every_row_ends_in_exactly_one_window() -> None:
    found = explored(uploads_and_closers(uploads=2, closers=1), Budget(switches=1), 100_000)
    assert found.failures == []
    assert found.states > 30


def test_every_row_ends_in_exactly_one_window_whoever_dies() -> None:
    found = explored(uploads_and_closers(uploads=1, closers=2), Budget(crashes=1, switches=1), 100_000)
    assert found.failures == []
