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
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cli.rehearsal_world import Stage
from shared.envelope import Envelope
from shared.environment import Cloud, using
from shared.errors import NotYet, Transient
from shared.events import Event, OutcomesObserved, RollbackRequested, TrainingRequested
from shared.ids import RunId, run_id, run_parts
from shared.ledger import drift_key, notice_key, rollout_key, run_key, window_key
from shared.store import Entry, Store
from shared.wiring import SUBSCRIPTIONS

_SOURCE = Path(__file__).parents[1] / "functions"
_PASSING = {"seconds", "at", "owner"}
"""Facts that differ at every handling."""
_SHOWN = 12
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
    """Where records stand that may have been made of an event."""
    said = event.payload
    yield notice_key(event.id, "")
    if isinstance(said, OutcomesObserved):
        yield f"outcomes/{said.model}/{said.batch}"
    if isinstance(said, TrainingRequested) and said.request:
        yield f"requests/{said.model}/{said.request}"
    rollout = getattr(said, "rollout", None)
    run = _run_of(state, said)
    if run is not None:
        yield run_key(run, "")
        yield window_key(*run_parts(run))
        yield drift_key(said.model, run, "")
        rollout = rollout or _fact(state, run_key(run, "rollout"), "rollout")
    if rollout is not None:
        yield rollout_key(said.model, int(rollout), "")


def _run_of(state: Store, said: Event) -> RunId | None:
    """The run that an event is about, as it says or as the record tells that names its window or its rollout."""
    run: RunId | None = getattr(said, "run", None)
    if isinstance(said, TrainingRequested):
        bound = f"requests/{said.model}/{said.request}"
        window = said.window or (_fact(state, bound, "window") if said.request else None)
        return run_id(said.model, window) if window else None
    if isinstance(said, RollbackRequested):
        run = _fact(state, rollout_key(said.model, said.rollout, "opened"), "run")
    return run


def _fact(state: Store, key: str, name: str) -> Any:
    return _record(state.read(key)).get("data", {}).get(name)


def _handled(stage: Stage, event: Envelope, function: str) -> str:
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
