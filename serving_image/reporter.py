"""Reports the evidence of every interval, also of an empty one: silence would look like health."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from serving_image.account import Account, Interval
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.errors import SerinError
from shared.events import EvidenceReported
from shared.ids import ModelName, RunId
from shared.step import publish
from shared.trace import started

_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Identity:
    """Who reports: one process life of one deployed model."""

    model: ModelName
    run: RunId
    endpoint: str
    deployed_model: str
    reporter: str
    report_seconds: float


class Reporter:
    """Ends each interval on the clock and publishes what it held; what could not be published is tried again."""

    def __init__(
        self, identity: Identity, account: Account, cloud: Cloud, clock: Callable[[], float] = time.time
    ) -> None:
        self._identity = identity
        self._account = account
        self._cloud = cloud
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Reports the interval that runs, then ends."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        seconds = self._identity.report_seconds
        number = interval_of(self._clock(), seconds)
        while not self._stopped.is_set():
            self._stopped.wait(min(seconds, (number + 1) * seconds - self._clock()))
            # A clock that is slewed or set back wakes us in the interval just ended: no number is used twice, for the
            # second report under it would be taken for the first.
            number = max(number + 1, interval_of(self._clock(), seconds))
            self._report(self._account.turn(number))

    def _report(self, interval: Interval) -> None:
        envelope = report(self._identity, interval, self._cloud)
        while True:
            try:
                return publish(self._cloud, envelope)
            except SerinError:
                # The same event id again: a report that was kept without our knowing is then recognised.
                if self._stopped.wait(_RETRY_SECONDS):
                    return None


def interval_of(now: float, seconds: float) -> int:
    """The number of the interval that a time (seconds since the epoch) lies in."""
    return int(now // seconds)


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
        latency=interval.latency,
    )
    name = f"{identity.endpoint}/{identity.deployed_model}/{identity.reporter}/{interval.number}"
    return Envelope(name, "//serin/serving", cloud.now(), event, traceparent=started(name))
