"""Reports the evidence of every interval, also of an empty one: silence would look like health.

The loop hands over intervals; a thread of its own publishes them, in order, until each is known to be kept.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from serving_image.account import Interval
from serving_image.configuration import Identity
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.events import EvidenceReported
from shared.step import publish
from shared.trace import started

STOP_SECONDS = 5.0
"""For the last reports, of the ten that a platform gives a container to stop in."""
_RETRY_SECONDS = 0.5
_MOST_WAITING = 1_500  # a day of minutes without Pub/Sub; what is older says nothing about a canary


class Reporter:
    """Publishes ended intervals; what could not be published is tried again under the same id."""

    def __init__(self, identity: Identity, open_cloud: Callable[[], Cloud]) -> None:
        self._identity = identity
        self._open_cloud = open_cloud
        self._waiting: deque[Interval] = deque(maxlen=_MOST_WAITING)
        self._more = threading.Condition()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Begins, with the client first: building it takes longer than publishing, and is done while nobody waits."""
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
        cloud = self._open_cloud()
        with suppress(Exception):  # what is wrong with it is told when something is published
            _ = cloud.bus
        while interval := self._next():
            if self._published(interval, cloud):
                with self._more:
                    if self._waiting and self._waiting[0] is interval:
                        self._waiting.popleft()

    def _next(self) -> Interval | None:
        """The oldest interval that waits; None when there will be no more, or no more time."""
        with self._more:
            while not self._waiting and self._deadline == float("inf"):
                self._more.wait()
            return self._waiting[0] if self._waiting and time.monotonic() < self._deadline else None

    def _published(self, interval: Interval, cloud: Cloud) -> bool:
        try:
            # The same event id again: a report that was kept without our knowing is then recognised.
            publish(cloud, report(self._identity, interval, cloud))
        except Exception as error:  # whatever it is, the counts are kept and tried again
            sys.stderr.write(f"evidence of interval {interval.number} not published yet: {type(error).__name__}\n")
            with self._more:
                self._more.wait(_RETRY_SECONDS)
            return False
        return True


def report(identity: Identity, interval: Interval, cloud: Cloud) -> Envelope:
    """The event that tells of an interval; its id is the reporter's and the interval's."""
    event = EvidenceReported(
        model=identity.model,
        run=identity.run,
        endpoint=identity.endpoint,
        deployed_model=identity.deployed_model,
        reporter=identity.reporter,
        interval=interval.number,
        report_seconds=identity.report_seconds,
        requests=interval.requests,
        errors=interval.errors,
        client_errors=interval.client_errors,
        rows=interval.rows,
        latency={str(index): count for index, count in enumerate(interval.latency) if count},
        baseline=interval.distributions.baseline,
        features=interval.distributions.features,
        predictions=interval.distributions.predictions,
    )
    name = f"{identity.endpoint}/{identity.deployed_model}/{identity.reporter}/{interval.number}"
    return Envelope(name, "//serin/serving", cloud.now(), event, traceparent=started(name))
