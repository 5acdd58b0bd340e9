"""Cron lines in unix-cron format, as Cloud Scheduler documents them; pure.

minute 0-59   hour 0-23   day of month 1-31   month 1-12 or JAN-DEC   day of week 0-7 or SUN-SAT (0 and 7: Sunday)
each: `*`, `5`, `1-5`, `*/10`, `10-40/15`, lists of these; a day has to meet either day field when both are restricted
https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product

_PART = re.compile(r"(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?")
_MONTHS = {
    name: place
    for place, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DAYS = {name: place for place, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])}
_SUNDAY = 7
_MAX_LENGTH = 500


@dataclass(frozen=True)
class Cron:
    """A parsed cron line."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def meets(self, at: datetime) -> bool:
        """Whether a job runs in the minute that begins at `at`, which is in the job's own time zone."""
        return at.minute in self.minutes and at.hour in self.hours and self.meets_day(at)

    def meets_day(self, at: datetime) -> bool:
        """Whether a job runs on this day at all."""
        if at.month not in self.months:
            return False
        in_month, in_week = at.day in self.days, at.isoweekday() % _SUNDAY in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week

    def times(self, day: datetime) -> Iterator[datetime]:
        """When a job runs on a day, in order."""
        if self.meets_day(day):
            for hour, minute in product(sorted(self.hours), sorted(self.minutes)):
                yield day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def parsed(line: str) -> Cron:
    """Reads a cron line; ValueError when it is none."""
    fields = line.split()
    if len(fields) != 5 or len(line) > _MAX_LENGTH:
        raise ValueError("a cron line has five fields")
    minutes, hours, days, months, weekdays = fields
    return Cron(
        minutes=_values(minutes, 0, 59, {}),
        hours=_values(hours, 0, 23, {}),
        days=_values(days, 1, 31, {}),
        months=_values(months, 1, 12, _MONTHS),
        weekdays=frozenset(day % _SUNDAY for day in _values(weekdays, 0, _SUNDAY, _DAYS)),
        either_day=not days.startswith("*") and not weekdays.startswith("*"),
    )


def _values(field: str, least: int, most: int, names: Mapping[str, int]) -> frozenset[int]:
    return frozenset(value for part in field.split(",") for value in _span(part, least, most, names))


def _span(part: str, least: int, most: int, names: Mapping[str, int]) -> range:
    span, has_step, step = part.partition("/")
    match = _PART.fullmatch(span)
    if match is None or (has_step and (not _is_number(step) or int(step) == 0)):
        raise ValueError(f"{part} is no part of a cron line")
    if match["all"]:
        return range(least, most + 1, int(step or 1))
    first = _number(match["first"], names)
    # As in Vixie's cron, a single value with a step runs on to the end.
    last = _number(match["last"], names) if match["last"] else most if has_step else first
    if not least <= first <= last <= most:
        raise ValueError(f"{part} is not within {least}-{most}")
    return range(first, last + 1, int(step or 1))


def _number(text: str, names: Mapping[str, int]) -> int:
    found = int(text) if _is_number(text) else names.get(text.upper())
    if found is None:
        raise ValueError(f"{text} is no part of a cron line")
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 4
