"""Cron lines mean what unix cron means by them, and minutes begin when they should."""

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.scheduler.cron import parsed
from local.scheduler.minutes import Minutes, local_time

NOON = datetime(2026, 2, 4, 12, 30, tzinfo=UTC)  # a Wednesday
MINUTE = int(NOON.timestamp()) // 60


@pytest.mark.parametrize(
    ("line", "meets"),
    [
        ("* * * * *", True),
        ("30 12 * * *", True),
        ("31 12 * * *", False),
        ("*/15 * * * *", True),
        ("*/7 * * * *", False),
        ("10-40/20 * * * *", True),
        ("5/25 * * * *", True),
        ("0,15,30 8-18 * * *", True),
        ("30 12 4 feb *", True),
        ("30 12 * 1-3 wed", True),
        ("30 12 * * 0,7", False),
        # Both days restricted: one of them is enough. One of them a star: the other decides.
        ("30 12 5 * wed", True),
        ("30 12 4 * fri", True),
        ("30 12 5 * *", False),
        ("30 12 */2 * wed", False),
    ],
)
def test_a_line_meets_a_wednesday_noon(line: str, meets: bool) -> None:
    assert parsed(line).meets(NOON) is meets


def test_zero_and_seven_are_sunday() -> None:
    sunday = datetime(2026, 2, 8, tzinfo=UTC)
    assert [parsed(f"0 0 * * {day}").meets(sunday) for day in ("0", "7", "sun", "1")] == [True, True, True, False]


@pytest.mark.parametrize(
    "line",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *",
     "*/0 * * * *", "*/x * * * *", "1,,2 * * * *", "mon * * * *", "every 5 minutes", "-1 * * * *", "² * * * *"],
)  # fmt: skip
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(line)


@given(line=st.text(alphabet="*/,-0123459 SUNjan", max_size=30))
def test_any_text_is_a_line_or_is_refused(line: str) -> None:
    with contextlib.suppress(ValueError):
        parsed(line).meets(NOON)


def test_minutes_begin_with_the_clocks() -> None:
    minutes = Minutes(start_seconds=NOON.timestamp() + 17)
    assert minutes.at(NOON.timestamp() + 59.9) == MINUTE
    assert minutes.at(NOON.timestamp() + 60) == MINUTE + 1
    assert minutes.begins(MINUTE + 1) == NOON.timestamp() + 60


def test_shortened_minutes_follow_each_other_from_the_start_on() -> None:
    start = NOON.timestamp() + 17.0
    minutes = Minutes(start, length_seconds=0.5)
    assert [minutes.at(start + after) for after in (0.0, 0.4, 0.5, 30.0)] == [MINUTE, MINUTE, MINUTE + 1, MINUTE + 60]
    assert minutes.begins(MINUTE + 60) == start + 30.0


def test_a_minute_is_told_by_the_clocks_of_a_time_zone() -> None:
    assert local_time(MINUTE, ZoneInfo("Europe/Berlin")).hour == 13
    assert local_time(MINUTE + 181 * 24 * 60, ZoneInfo("Europe/Berlin")).hour == 14
