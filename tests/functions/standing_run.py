"""What stands in the ledger before a function is tried by itself, and the events that it is tried with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.envelope import Envelope, Message, from_json
from shared.events import Event
from shared.ids import RunId, run_parts
from shared.ledger import Author, Ledger, Outcome, Record, run_key, window_key
from shared.settings import Settings
from tests.world.cloud import MemoryCloud

EVENTS = Path(__file__).parents[1] / "events"
RUN = RunId("digits-000002")
JOB = "projects/p/locations/us-central1/customJobs/1701"


def event(topic: str, **changes: Any) -> Envelope:
    """The kept event of a topic, its payload changed where asked."""
    kept = from_json(json.loads((EVENTS / f"{topic}.json").read_text()))
    return replace(kept, payload=kept.payload.model_copy(update=changes))


def foreign(topic: str) -> Message:
    """The kept message of a topic that is not ours."""
    kept = json.loads((EVENTS / f"{topic}.json").read_text())
    return Message(kept["attributes"], json.dumps(kept["data"]).encode())


def ledger(cloud: MemoryCloud) -> Ledger:
    return Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))


def record(cloud: MemoryCloud, name: str, data: dict[str, Any], *events: Event, run: RunId = RUN) -> Record:
    """Puts one record of the run into the ledger."""
    return ledger(cloud).record(run_key(run, name), Outcome(data, events))


def open_run(cloud: MemoryCloud, run: RunId = RUN, **sections: dict[str, Any]) -> None:
    """A run whose window is closed, with the settings that are not the defaults."""
    settings = Settings.model_validate({"data": {"target": "digit"}, **sections})
    data = {"run": run, "uploads": [], "earlier": [], "settings": settings.model_dump(mode="json")}
    ledger(cloud).record(window_key(*run_parts(run)), Outcome(data))


def records(cloud: MemoryCloud, run: RunId = RUN) -> list[str]:
    """The names of the run's records, claims left out."""
    prefix = run_key(run, "")
    return [key.removeprefix(prefix) for key in keys(cloud, prefix) if "/claims/" not in key]


def keys(cloud: MemoryCloud, prefix: str = "") -> list[str]:
    """What stands below a prefix of the state bucket."""
    return [entry.key for entry in cloud.state.entries(prefix)]


def published(cloud: MemoryCloud) -> list[Event]:
    """The payloads that were published since the last look, in order."""
    payloads = [envelope.payload for envelope in cloud.bus.events()]
    cloud.bus.take()
    return payloads


def topics(cloud: MemoryCloud) -> list[str]:
    """The topics of what was published since the last look, in order."""
    return [payload.topic for payload in published(cloud)]
