"""What was seen in the interval that runs: counted in the serving loop, handed over whole by its reporter."""

import threading
from dataclasses import dataclass, field

from shared.evidence import bucket


@dataclass
class Interval:
    """The counts of one interval."""

    number: int
    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    rows: int = 0
    latency: dict[str, int] = field(default_factory=dict)


class Account:
    """The running interval; safe for the loop that counts and the thread that reports."""

    def __init__(self, number: int) -> None:
        self._lock = threading.Lock()
        self._interval = Interval(number)
        self._sequence = 0

    def answered(self, seconds: float, rows: int) -> None:
        """Counts a good answer."""
        with self._lock:
            key = str(bucket(seconds))
            self._interval.requests += 1
            self._interval.rows += rows
            self._interval.latency[key] = self._interval.latency.get(key, 0) + 1

    def sequences(self, rows: int) -> int:
        """Takes sequence numbers for the receipts of these rows; answers the first."""
        with self._lock:
            first = self._sequence
            self._sequence += rows
            return first

    def refused(self) -> None:
        """Counts a request that was the client's mistake."""
        with self._lock:
            self._interval.client_errors += 1

    def failed(self) -> None:
        """Counts a request that was our mistake."""
        with self._lock:
            self._interval.requests += 1
            self._interval.errors += 1

    def turn(self, number: int) -> Interval:
        """Ends the running interval and begins the next; answers the one that ended."""
        with self._lock:
            ended, self._interval = self._interval, Interval(number)
            return ended
