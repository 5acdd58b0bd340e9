"""The demo's clients: they ask the model in production about real rows and tell, a moment later, what each was."""

import random
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from cli.demo.story import Traffic
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.errors import Transient
from shared.events import OutcomesObserved
from shared.ids import ModelName
from shared.rollouts import production_endpoint
from shared.serving import Address, ServingBackend
from shared.step import publish
from shared.trace import started

REQUESTS_PER_SECOND = 40
ROWS_PER_REQUEST = 20
_WORKERS = 4
_LABELS_PER_BATCH = 1000  # what one event may carry
_TIMEOUT_SECONDS = 5.0
_AGAIN_SECONDS = 0.5


@dataclass
class Tally:
    """What the clients have seen so far."""

    requests: int = 0
    refused: int = 0
    rows: int = 0
    wrong: int = 0


@dataclass
class Clients:
    """Sends requests at a steady rate until `stop`; labels follow once a second."""

    cloud: Cloud
    address: Address
    model: ModelName
    rows: Sequence[Traffic]
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._labels: list[tuple[str, str]] = []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._ask, self._tell)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        chance = random.Random(0)
        with httpx.Client(timeout=_TIMEOUT_SECONDS) as client, ThreadPoolExecutor(_WORKERS) as workers:
            due = time.monotonic()
            while not self._stopped.wait(max(0.0, due - time.monotonic())):
                workers.submit(self._request, client, chance.sample(self.rows, ROWS_PER_REQUEST))
                due = max(due + 1 / REQUESTS_PER_SECOND, time.monotonic() - 1.0)

    def _request(self, client: httpx.Client, rows: Sequence[Traffic]) -> None:
        try:
            answer = client.post(
                self.address.url, headers=self.address.headers, json={"instances": [row.features for row in rows]}
            )
            answer.raise_for_status()
        except httpx.HTTPError:
            with self._lock:
                self.tally.refused += 1
            return
        self._take(rows, answer.json()["predictions"])

    def _take(self, rows: Sequence[Traffic], predictions: Sequence[dict[str, str]]) -> None:
        pairs = list(zip(rows, predictions, strict=True))
        with self._lock:
            self._labels += [(prediction["receipt"], row.label) for row, prediction in pairs]
            self.tally.requests += 1
            self.tally.rows += len(pairs)
            self.tally.wrong += sum(prediction["label"] != row.label for row, prediction in pairs)

    def _tell(self) -> None:
        while not self._stopped.wait(1.0):
            self._send()
        self._send()

    def _send(self) -> None:
        with self._lock:
            labels, self._labels = self._labels, []
        for start in range(0, len(labels), _LABELS_PER_BATCH):
            name = uuid.uuid4().hex
            event = OutcomesObserved(
                model=self.model, batch=name, outcomes=tuple(labels[start : start + _LABELS_PER_BATCH])
            )
            told = Envelope(name, "//serin/demo/clients", self.cloud.now(), event, traceparent=started(name))
            self._publish(told)

    def _publish(self, told: Envelope) -> None:
        while True:
            try:
                return publish(self.cloud, told)
            except Transient:
                # The same event again: a batch counts once, however often it comes.
                if self._stopped.wait(_AGAIN_SECONDS):
                    return None


def clients(cloud: Cloud, serving: ServingBackend, model: ModelName, rows: Sequence[Traffic]) -> Clients:
    """Clients of a model's production endpoint."""
    return Clients(cloud, serving.address(production_endpoint(model)), model, rows)
