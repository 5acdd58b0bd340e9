"""What was seen in the interval that runs: counted in the serving loop, handed over whole when its time is over.

Everything here belongs to the loop: no lock is taken, and nothing is lost between an interval and the next.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from shared.distributions import Distributions
from shared.evidence import EDGES_SECONDS, bucket


@dataclass
class Interval:
    """The counts of one interval; a request of many rows is one request with one latency."""

    number: int
    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    rows: int = 0
    bad_rows: int = 0
    seconds: float = 0.0
    latency: list[int] = field(default_factory=lambda: [0] * (len(EDGES_SECONDS) + 1))
    distributions: Distributions = field(default_factory=Distributions)

    def add(self, other: "Interval") -> None:
        """Takes in the counts of another, but for its distributions."""
        self.requests += other.requests
        self.errors += other.errors
        self.client_errors += other.client_errors
        self.rows += other.rows
        self.bad_rows += other.bad_rows
        self.seconds += other.seconds
        self.latency = [one + more for one, more in zip(self.latency, other.latency, strict=True)]


Ended = Callable[[Interval], None]


class Counting(Protocol):
    """Counts rows and answers on the baseline's bins."""

    def take(self) -> Distributions: ...


class Account:
    """The running interval; `ended` is given every interval whose time is over, in order, once.

    Intervals are numbered by the clock that people share; how long one runs is measured on one that nobody sets.
    """

    def __init__(
        self,
        report_seconds: float,
        counting: Counting,
        ended: Ended,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report_seconds = report_seconds
        self._counting = counting
        self._ended = ended
        self._clock = clock
        self._steady = steady
        self._before = Interval(0)
        self._begin(0)

    def answered(self, seconds: float, rows: int, bad_rows: int = 0) -> None:
        """Counts an answer to at least one row."""
        interval = self._running()
        interval.requests += 1
        interval.rows += rows
        interval.bad_rows += bad_rows
        interval.seconds += seconds
        interval.latency[bucket(seconds)] += 1

    def refused(self, bad_rows: int = 0) -> None:
        """Counts a request that was the client's mistake."""
        interval = self._running()
        interval.client_errors += 1
        interval.bad_rows += bad_rows

    def failed(self) -> None:
        """Counts a request that was our mistake, one that took too long included."""
        interval = self._running()
        interval.requests += 1
        interval.errors += 1

    @property
    def seconds_left(self) -> float:
        """How long the running interval will run; 0 or less when its time is over."""
        return self._until - self._steady()

    def turn(self) -> None:
        """Ends the running interval."""
        ended = self._interval
        ended.distributions = self._counting.take()
        self._before.add(ended)
        self._begin(ended.number + 1)
        self._ended(ended)

    def ever(self) -> Interval:
        """The counts since the process began."""
        everything = Interval(self._interval.number)
        everything.add(self._before)
        everything.add(self._interval)
        return everything

    def _running(self) -> Interval:
        if self._steady() >= self._until:
            self.turn()
        return self._interval

    def _begin(self, lowest: int) -> None:
        # A clock that is slewed or set back must not give a number twice: the second report under it would be taken
        # for the first. Nor may it make an interval of hours: nobody would hear from us.
        now, seconds = self._clock(), self._report_seconds
        self._interval = Interval(max(lowest, int(now // seconds)))
        self._until = self._steady() + min(seconds, (self._interval.number + 1) * seconds - now)
