"""When cron's minutes begin: on the minute as everywhere, or, where a setting shortens them, one after the other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_MINUTE_SECONDS = 60.0


@dataclass(frozen=True)
class Minutes:
    """Cron's minutes, numbered from the epoch on; they last 60 s and begin with the clock's, unless they are shorter.

    Shortened, they count from `start_seconds` (the service's start, in seconds after the epoch), when it was its time.
    """

    start_seconds: float
    length_seconds: float = _MINUTE_SECONDS

    def at(self, now_seconds: float) -> int:
        """The number of the minute that it is."""
        return self._first + int((now_seconds - self._first_begins) // self.length_seconds)

    def begins(self, minute: int) -> float:
        """When a minute begins, in seconds after the epoch."""
        return self._first_begins + (minute - self._first) * self.length_seconds

    @property
    def _first(self) -> int:
        return int(self.start_seconds // _MINUTE_SECONDS)

    @property
    def _first_begins(self) -> float:
        return self._first * _MINUTE_SECONDS if self.length_seconds == _MINUTE_SECONDS else self.start_seconds


def local_time(minute: int, zone: tzinfo) -> datetime:
    """What clocks in a time zone show when a minute of this number begins."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)).astimezone(zone)
