"""The ledger: what happened, as create-only records in a bucket. Nothing is overwritten, so the history is the state.

once(key, compute)      stands? ─ yes ─► what stands
                          └ no ─► compute ─► create ─┬ created ─► ours
                                                     └ taken ───► what stands (perhaps ours: a lost reply)
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from shared.envelope import Envelope, from_json
from shared.errors import NotYet
from shared.events import Event
from shared.ids import ModelName, RunId, run_parts
from shared.store import Entry, Store

Json = Mapping[str, Any]
POSTED = "posted"
"""The name of a notice's record once `notify` has taken it in."""


@dataclass(frozen=True)
class Outcome:
    """What a step decided: the facts to record and the events that follow from them."""

    data: Json
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Origin:
    """What led to a record: the event, when it was said, when its handling began; by the clocks of those who say."""

    event: str
    said: datetime | None
    began: datetime


@dataclass(frozen=True)
class Record:
    """One committed fact. `owner` tells whose create it was; `at` is the writer's clock, for people to read."""

    key: str
    owner: str
    at: datetime
    by: str
    data: Json
    events: tuple[Envelope, ...]
    origin: Origin | None = None


@dataclass(frozen=True)
class Author:
    """In whose name records are made: the function, the event it handles, and where ids and times come from."""

    name: str
    cause: str | None
    traceparent: str | None
    now: Callable[[], datetime]
    token: Callable[[], str]
    origin: Origin | None = None


class Ledger:
    """The state bucket, as its author sees it."""

    def __init__(self, store: Store, author: Author) -> None:
        self.store = store
        self.author = author

    def find(self, key: str) -> Record | None:
        """The record under a key, or None."""
        body = self.store.read(key)
        return None if body is None else _decoded(key, body)

    def require(self, key: str) -> Record:
        """The record under a key; NotYet if it does not stand."""
        record = self.find(key)
        if record is None:
            raise NotYet(key)
        return record

    def once(self, key: str, compute: Callable[[], Outcome], metadata: Mapping[str, str] | None = None) -> Record:
        """The one record under this key: what stands, or else what `compute` says, whoever creates it first."""
        standing = self.find(key)
        return standing if standing is not None else self.record(key, compute(), metadata)

    def record(self, key: str, outcome: Outcome, metadata: Mapping[str, str] | None = None) -> Record:
        """Like `once` without the first look, for keys that usually are free."""
        return self._commit(self._draft(key, outcome), metadata)

    def claim(self, key: str, lease_seconds: float) -> int:
        """Takes an attempt at work that must not be done twice at once; answers the number of the attempt, from 1.

        Raises NotYet while the last claim is younger than its lease. Ages are differences of the server's own times.
        """
        standing = self.store.entries(f"{key}/claims/")
        if standing and self.server_now(key) - standing[-1].created < timedelta(seconds=lease_seconds):
            raise NotYet(f"{key} is being worked on")
        attempt = len(standing) + 1
        draft = self._draft(f"{key}/claims/{attempt:06d}", Outcome({"attempt": attempt}))
        if self._commit(draft).owner != draft.owner:
            raise NotYet(f"{key} is being worked on")
        return attempt

    def server_now(self, key: str) -> datetime:
        """The bucket's own time, read off an object written for it."""
        probe = self.store.create(f"clock/{key}/{self.author.token()}", b"")
        if probe is None:
            raise NotYet("the server's time")
        return probe.created

    def entries(self, prefix: str) -> list[Entry]:
        """What stands below a prefix, in the order of the keys."""
        return self.store.entries(prefix)

    def entries_known(self, prefix: str) -> list[Entry]:
        """The same as far as it is known: what others created a moment ago may be missing."""
        return self.store.entries_known(prefix)

    def envelope(self, event: Event, name: str) -> Envelope:
        """An event in this author's name; the same name gives the same id again."""
        author = self.author
        return Envelope(name, f"//serin/{author.name}", author.now(), event, author.cause, author.traceparent)

    def _draft(self, key: str, outcome: Outcome) -> Record:
        events = tuple(self.envelope(event, f"{key}#{position}") for position, event in enumerate(outcome.events))
        author = self.author
        return Record(key, author.token(), author.now(), author.name, outcome.data, events, author.origin)

    def _commit(self, draft: Record, metadata: Mapping[str, str] | None = None) -> Record:
        created = self.store.create(draft.key, _encoded(draft), metadata)
        return self.require(draft.key) if created is None else draft


def _encoded(record: Record) -> bytes:
    kept = {
        "owner": record.owner,
        "at": record.at.isoformat(),
        "by": record.by,
        "data": record.data,
        "events": [event.to_json() for event in record.events],
        "origin": _origin_json(record.origin),
    }
    return json.dumps(kept, sort_keys=True).encode()


def _origin_json(origin: Origin | None) -> Json | None:
    if origin is None:
        return None
    said = origin.said.isoformat() if origin.said else None
    return {"event": origin.event, "said": said, "began": origin.began.isoformat()}


def _origin(kept: Json | None) -> Origin | None:
    if kept is None:
        return None
    said = datetime.fromisoformat(kept["said"]) if kept["said"] else None
    return Origin(kept["event"], said, datetime.fromisoformat(kept["began"]))


@lru_cache(maxsize=512)  # a step reads the same few records again and again, and they never change
def _decoded(key: str, body: bytes) -> Record:
    kept = json.loads(body)
    events = tuple(from_json(event) for event in kept["events"])
    at, origin = datetime.fromisoformat(kept["at"]), _origin(kept.get("origin"))
    return Record(key, kept["owner"], at, kept["by"], kept["data"], events, origin)


# Where everything stands. Numbers have six digits, so that the order of keys is the order of numbers.


def settings_prefix(model: ModelName) -> str:
    return f"settings/{model}/"


def content_key(model: ModelName, content: str) -> str:
    return f"contents/{model}/{content}"


def schema_key(model: ModelName) -> str:
    return f"schemas/{model}"


def pending_prefix(model: ModelName, window: int) -> str:
    return f"pending/{model}/{window:06d}/"


def upload_key(model: ModelName, upload: str) -> str:
    return f"uploads/{model}/{upload}"


def erasure_key(model: ModelName, upload: str) -> str:
    return f"erasures/{model}/{upload}"


def windows_prefix(model: ModelName) -> str:
    return f"windows/{model}/"


def window_key(model: ModelName, window: int) -> str:
    return f"{windows_prefix(model)}{window:06d}"


def asked_key(model: ModelName, window: int) -> str:
    """Where it stands that somebody wants a window trained on, however few rows it has."""
    return f"asked/{model}/{window:06d}"


def run_key(run: RunId, name: str) -> str:
    model, window = run_parts(run)
    return f"runs/{model}/{window:06d}/{name}"


def rollouts_prefix(model: ModelName) -> str:
    return f"rollouts/{model}/"


def rollout_key(model: ModelName, rollout: int, name: str) -> str:
    return f"{rollouts_prefix(model)}{rollout:06d}/{name}"


def drift_key(model: ModelName, run: RunId, name: str) -> str:
    return f"drift/{model}/runs/{run}/{name}"


def score_key(model: ModelName, upload: str, name: str) -> str:
    return f"scores/{model}/{upload}/{name}"


def scoring_prefix(day: date) -> str:
    """Where the files of rows stand whose scoring was begun on a day: a list that does not grow with the history."""
    return f"scoring/{day.isoformat()}/"


def dead_letter_key(identity: str, name: str) -> str:
    return f"dead-letters/{identity}/{name}" if identity else "dead-letters/"


def bugs_prefix(function: str, event: str | None) -> str:
    return f"bugs/{function}/{hashlib.sha256((event or '').encode()).hexdigest()[:20]}/"


def notice_key(event: str, name: str) -> str:
    return f"notices/{hashlib.sha256(event.encode()).hexdigest()[:20]}/{name}"
