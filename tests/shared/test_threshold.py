"""A window is due when enough rows wait, or fewer of which the oldest have waited long enough."""

from datetime import timedelta

import pytest

from shared.settings import ThresholdSettings
from shared.threshold import crossed
from shared.windows import Waiting
from tests.world.cloud import START

AGED = ThresholdSettings(at_least=100, or_after="24h", or_after_rows=10)


@pytest.mark.parametrize(
    ("rows", "hours", "due"),
    [(100, 0, "threshold"), (99, 23.9, None), (99, 24, "age"), (10, 24, "age"), (9, 1000, None), (0, 1000, None)],
)
def test_enough_rows_or_fewer_that_are_old(rows: int, hours: float, due: str | None) -> None:
    waiting = Waiting(rows, START if rows else None)
    assert crossed(AGED, waiting, START + timedelta(hours=hours)) == due


def test_without_an_age_only_rows_count() -> None:
    assert crossed(ThresholdSettings(at_least=100), Waiting(99, START), START + timedelta(days=999)) is None


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800)])
def test_ages_are_written_with_their_unit(text: str, seconds: float) -> None:
    assert ThresholdSettings(or_after=text).or_after_seconds == seconds
