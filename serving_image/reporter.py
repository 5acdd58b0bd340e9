"""Reports the evidence of every interval, also of an empty one: silence would look like health.

The loop hands over intervals; a thread of its own publishes them, in order, until each is known to be kept.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from serving_image.account import Interval

STOP_SECONDS = 5.0
"""For the last reports, of the ten that a platform gives a container to stop in."""
_RETRY_SECONDS = 0.5
Publish = Callable[[Interval], None]
"""Returns once the report of an interval is kept; raises when it may not be."""
_MOST_WAITING = 1_500  # a day of minutes without Pub/Sub; what is older says nothing about a canary


class Reporter:
    """Publishes ended intervals; what could not be published is tried again under the same id."""

    def __init__(self, open_publish: Callable[[], Publish]) -> None:
        self._open_publish = open_publish
        self._waiting: deque[Interval] = deque(maxlen=_MOST_WAITING)
        self._more = threading.Condition()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begins, with what publishes first: building it takes longer than publishing, and nobody waits for it."""
        self._thread.start()

    def add(self, interval: Interval) -> None:
        """Takes an interval that has ended."""
        with self._more:
            self._waiting.append(interval)
            self._more.notify()

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Publishes what waits, for at most so long; answers how many reports could not be published."""
        with self._more:
            self._deadline = time.monotonic() + seconds
            self._more.notify()
        self._thread.join(seconds)
        return len(self._waiting)

    def _run(self) -> None:
        publish = self._open_publish()
        while interval := self._next():
            if self._published(interval, publish):
                with self._more:
                    if self._waiting and self._waiting[0] is interval:
                        self._waiting.popleft()

    def _next(self) -> Interval | None:
        """The oldest interval that waits; None when there will be no more, or no more time."""
        with self._more:
            while not self._waiting and self._deadline == float("inf"):
                self._more.wait()
            return self._waiting[0] if self._waiting and time.monotonic() < self._deadline else None

    def _published(self, interval: Interval, publish: Publish) -> bool:
        try:
            publish(interval)
        except Exception as error:  # whatever it is, the counts are kept and tried again
            sys.stderr.write(f"evidence of interval {interval.number} not published yet: {type(error).__name__}\n")
            with self._more:
                self._more.wait(_RETRY_SECONDS)
            return False
        return True
