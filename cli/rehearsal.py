"""What a function would do with an event today: the real handler on the world as it was then, and nothing is done.

Since nothing in the ledger is overwritten, the world as it was is what stands now without what came later. What the
handler creates is kept aside, what it publishes and orders is noted; then its records are held against those it made.
"""

import base64
import contextlib
import importlib.util
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from shared.envelope import Envelope
from shared.environment import Cloud, Environment, using
from shared.errors import NotYet, Transient
from shared.ids import RunId, run_parts
from shared.jobs import Job
from shared.ledger import notice_key, rollout_key, run_key, window_key
from shared.serving import Operation
from shared.spans import NoSpans
from shared.store import Entry, Store
from shared.wiring import SUBSCRIPTIONS

_SOURCE = Path(__file__).parents[1] / "functions"
_ORDERS = {
    "create_job", "cancel_job", "create_batch_job", "cancel_batch_job", "upload", "delete_version", "create_endpoint",
    "deploy", "undeploy", "set_split",
}  # fmt: skip
"""What a service is told to do; everything else that it can do is to answer."""
_SENDING = "notify.send"
_PASSING = {"seconds", "at", "owner"}
"""Facts that differ at every handling."""
_SHOWN = 12
T = TypeVar("T")
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Rehearsed:
    """What one function would do with one event, and in what that differs from what it did."""

    topic: str
    event: str
    function: str
    today: str
    differences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "differences": list(self.differences)}


def rehearse(cloud: Cloud, event: Envelope) -> Iterator[Rehearsed]:
    """Lets every function that hears an event handle it; nothing is written, published, ordered or told."""
    heard_by = [subscription.function for subscription in SUBSCRIPTIONS if subscription.topic == event.topic]
    if not heard_by:
        yield Rehearsed(event.topic, event.id, "nobody", "nothing", ())
    for function in heard_by:
        yield _rehearsed(cloud, event, function)


def _rehearsed(cloud: Cloud, event: Envelope, function: str) -> Rehearsed:
    then = _made_then(cloud.state, event, function)
    began = min((_time(each["origin"]["began"]) for each in then.values()), default=cloud.now())
    before = min((entry.created for entry in _stats(cloud.state, then)), default=None)
    stage = Stage(cloud, began, before)
    trouble = _handled(stage, event, function)
    today = {key: json.loads(body) for key, body in stage.records() if not _is_aside(key)}
    differences = tuple(_differences(then, today))
    done = [*sorted(set(stage.ordered)), *(f"says {topic}" for topic in stage.said)]
    told = trouble or (", ".join(done) if done else "nothing")
    return Rehearsed(event.topic, event.id, function, told, differences[:_SHOWN] or ("as then" if then else "new",))


def _made_then(state: Store, event: Envelope, function: str) -> dict[str, Facts]:
    """The records that this function made of this event, by their keys; of the run, its rollout and its notices."""
    found: dict[str, Facts] = {}
    for prefix in _places(state, event):
        for entry in state.entries(prefix):
            kept = _record(state.read(entry.key))
            origin = kept.get("origin") or {}
            if kept.get("by") == function and origin.get("event") == event.id and not _is_aside(entry.key):
                found[entry.key] = kept
    return found


def _places(state: Store, event: Envelope) -> Iterator[str]:
    yield notice_key(event.id, "")
    run = getattr(event.payload, "run", None)
    window = getattr(event.payload, "window", None)
    if run is None and window is not None:
        run = RunId(f"{event.payload.model}-{window:06d}")
    if run is None:
        return
    yield run_key(run, "")
    yield window_key(*run_parts(run))
    rollout = _record(state.read(run_key(run, "rollout")))
    number = getattr(event.payload, "rollout", None) or rollout.get("data", {}).get("rollout")
    if number is not None:
        yield rollout_key(event.payload.model, int(number), "")


def _handled(stage: "Stage", event: Envelope, function: str) -> str:
    """Has the function handle the event; answers why it could not, if so."""
    body = {
        "message": {
            "attributes": event.attributes(), "data": base64.b64encode(event.data()).decode(), "messageId": "rehearsal",
        },
        "subscription": "rehearsal",
    }  # fmt: skip
    from cloudevents.http import CloudEvent

    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//rehearsal", "id": "rehearsal"}
    try:
        with using(stage), contextlib.redirect_stdout(io.StringIO()):
            _entry_point(function)(CloudEvent(attributes, body))
    except (NotYet, Transient) as later:
        return f"puts it off: {later}"
    except Exception as bug:  # whatever a function's code raises today is what is asked for
        return f"breaks: {type(bug).__name__}"
    return ""


@cache
def _entry_point(function: str) -> Callable[[Any], None]:
    """A function's entry point, found as functions-framework finds it."""
    folder = _SOURCE / function
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(f"serin_function_{function}", folder / "main.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[Any], None] = getattr(module, function)
    return found


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

    def door(self, effect: str, act: Callable[[], T]) -> T:
        """Carries out what only looks; an order is noted and answered as if it had been taken."""
        if effect == _SENDING:
            self.ordered.append(effect)
            return True  # type: ignore[return-value]
        return act()

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
        made = {key[len(prefix) :].split("/")[0] for key in self.made if key.startswith(prefix) and "/" in key}
        return sorted({*self._real.folders(prefix), *made})

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
        if name not in _ORDERS:
            return getattr(self._real, name)
        return lambda *given, **_: self._noted(name, *given)

    def _noted(self, name: str, *given: Any) -> Any:
        self._ordered.append(f"{self._service}.{name}")
        if name in ("create_job", "create_batch_job"):
            return Job("rehearsal", "PENDING", self._now, given[0].labels)
        return given[0] if name == "set_split" else Operation("rehearsal", done=False)


def _differences(then: Mapping[str, Facts], today: Mapping[str, Facts]) -> Iterator[str]:
    for key in sorted({*then, *today}):
        if key not in today:
            yield f"{key}: not made today"
        elif key not in then:
            if then:
                yield f"{key}: new today"
        else:
            yield from _of_facts(key, then[key]["data"], today[key]["data"])
            said = [[event["attributes"]["ce-type"] for event in each[key]["events"]] for each in (then, today)]
            if said[0] != said[1]:
                yield f"{key}: said {said[0]}, today {said[1]}"


def _of_facts(place: str, then: Any, today: Any) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(today, dict):
        for name in sorted({*then, *today} - _PASSING):
            yield from _of_facts(f"{place}.{name}", then.get(name), today.get(name))
    elif then != today:
        yield f"{place}: {_short(then)}, today {_short(today)}"


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _is_aside(key: str) -> bool:
    """Marks of time and of who is at work, which say nothing of what came of it."""
    return key.startswith(("clock/", "bugs/")) or "/claims/" in key


def _record(body: bytes | None) -> dict[str, Any]:
    try:
        kept = json.loads(body or b"{}")
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _stats(state: Store, keys: Mapping[str, Any]) -> Iterator[Entry]:
    yield from (entry for entry in map(state.stat, keys) if entry is not None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
