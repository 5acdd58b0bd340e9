"""The world that a function is rehearsed in: it reads what there was, and nothing that it does leaves this process.

Records are kept aside, events, orders and notices are noted. Of a service, only what is known to be a question is
asked: what is not known is held back as an order.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from shared.environment import Cloud, Environment
from shared.jobs import Job
from shared.serving import Operation
from shared.spans import NoSpans
from shared.store import Entry, Store

QUESTIONS = frozenset(
    {
        "address", "batch_job", "batch_jobs", "endpoint", "job", "job_log", "jobs", "live_jobs", "operation", "predict",
        "recipe", "versions",
    }
)  # fmt: skip
"""What a service is asked and changes nothing."""
ORDERS = frozenset(
    {
        "cancel_batch_job", "cancel_job", "create_batch_job", "create_endpoint", "create_job", "delete_version",
        "deploy", "make_default", "set_split", "undeploy", "upload",
    }
)  # fmt: skip
"""What a service is told to do. Named so that the suite notices a method that is in neither list."""
T = TypeVar("T")


@dataclass
class Stage:
    """Implements shared.environment.Cloud: reads what there was, keeps aside what is made, orders nothing."""

    real: Cloud
    began: datetime
    before: datetime | None
    ordered: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.environment: Environment = replace(self.real.environment, pusher=None)
        self.data: Store = Aside(self.real.data, None, self.began)
        self._state = Aside(self.real.state, self.before, self.began)
        self.state: Store = self._state
        self.artefacts: Store = Aside(self.real.artefacts, self.before, self.began)
        self.vertex: Any = Unordered(self.real.vertex, "vertex", self.ordered, self.began)
        self.run_services: Any = Unordered(self.real.run_services, "run", self.ordered, self.began)
        self.run_jobs: Any = Unordered(self.real.run_jobs, "run", self.ordered, self.began)
        self.bus = self
        self.spans = NoSpans()

    def door(self, effect: str, _act: Callable[[], T]) -> T:
        """Notes what a handler would do by itself, which is sending a notice, and answers as if it had been taken."""
        self.ordered.append(effect)
        return True  # type: ignore[return-value]

    def publish(self, topic: str, _data: bytes, _attributes: Mapping[str, str]) -> str:
        """Notes what would be said."""
        self.said.append(topic)
        return "rehearsal"

    def records(self) -> list[tuple[str, bytes]]:
        """What the handler has recorded."""
        return sorted(self._state.made.items())

    def now(self) -> datetime:
        return self.began

    def token(self) -> str:
        return self.real.token()


class Aside:
    """A bucket as it was before a moment, and what is made now, which nobody else sees."""

    def __init__(self, real: Store, before: datetime | None, now: datetime) -> None:
        self._real = real
        self._before = before
        self._now = now
        self.made: dict[str, bytes] = {}
        self._metadata: dict[str, Mapping[str, str]] = {}

    @property
    def bucket(self) -> str:
        return self._real.bucket

    def create(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry | None:
        if key in self.made or self.stat(key) is not None:
            return None
        self.made[key], self._metadata[key] = body, dict(metadata or {})
        return self._entry(key)

    def read(self, key: str, generation: int | None = None) -> bytes | None:
        if key in self.made:
            return self.made[key]
        if self._before is not None and self.stat(key, generation) is None:
            return None
        return self._real.read(key, generation)

    def stat(self, key: str, generation: int | None = None) -> Entry | None:
        if key in self.made:
            return self._entry(key)
        found = self._real.stat(key, generation)
        return found if found is not None and self._was(found) else None

    def entries(self, prefix: str) -> list[Entry]:
        kept = [entry for entry in self._real.entries(prefix) if self._was(entry)]
        made = [self._entry(key) for key in self.made if key.startswith(prefix)]
        return sorted([*kept, *made], key=lambda entry: entry.key)

    def entries_known(self, prefix: str) -> list[Entry]:
        return self.entries(prefix)

    def folders(self, prefix: str) -> list[str]:
        below = (key[len(prefix) :] for key in self._keys(prefix))
        made = {name.split("/")[0] for name in below if "/" in name}
        return sorted(made if self._before is not None else {*made, *self._real.folders(prefix)})

    def _keys(self, prefix: str) -> Iterator[str]:
        """What was made aside; and, as a folder has no time of its own, what stood below it before the moment."""
        yield from (key for key in self.made if key.startswith(prefix))
        if self._before is not None:
            yield from (entry.key for entry in self.entries(prefix))

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        return self._real.stream(key, generation, start)

    def part(self, key: str, generation: int, start: int, length: int) -> bytes:
        return self._real.part(key, generation, start, length)

    def _was(self, entry: Entry) -> bool:
        return self._before is None or entry.created < self._before

    def _entry(self, key: str) -> Entry:
        return Entry(key, 1, self._now, len(self.made[key]), self._metadata[key])


class Unordered:
    """A service of which only questions are asked: an order is noted, and answered as one that is under way."""

    def __init__(self, real: Any, service: str, ordered: list[str], now: datetime) -> None:
        self._real = real
        self._service = service
        self._ordered = ordered
        self._now = now

    def __getattr__(self, name: str) -> Any:
        if name in QUESTIONS:
            return getattr(self._real, name)
        return lambda *given, **_: self._noted(name, *given)

    def _noted(self, name: str, *given: Any) -> Any:
        self._ordered.append(f"{self._service}.{name}")
        if name in ("create_job", "create_batch_job"):
            return Job("rehearsal", "PENDING", self._now, given[0].labels)
        return given[0] if name == "set_split" else Operation("rehearsal", done=False)
