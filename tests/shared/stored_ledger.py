"""Ledgers as earlier versions have left them, as JSON Lines, and what is to be read off them.

python -m tests.shared.stored_ledger <home of a demo> <name>     keeps the ledger of a demo that has ended
"""

import gzip
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli import reading
from shared.ids import ModelName, RunId
from shared.ledger import Author, Ledger
from shared.rollouts import last_rollout, load, production
from shared.settings import current
from shared.store import Entry
from shared.windows import waiting
from tests.world.cloud import MemoryCloud
from tests.world.storage import _Object

LEDGERS = Path(__file__).parent / "ledgers"
# The keys that sign receipts are secrets; probes of the clock say nothing; thousands of receipts are all alike.
_LEFT_OUT = ("keys/", "clock/", "sweeps/", "outcomes/")
_STORED = """SELECT name, generation, created_us, attributes, bytes
             FROM objects LEFT JOIN small_bodies ON object_id = id
             WHERE deleted_us IS NULL AND bucket LIKE '%state%' ORDER BY name"""


def opened(name: str) -> Ledger:
    """A stored ledger, in memory."""
    return _in_memory(_stored(name))


def as_written(name: str) -> Iterator[dict[str, Any]]:
    """What is read off a stored ledger after each of its records, in the order in which they were written."""
    objects = sorted(_stored(name), key=lambda each: each.entry.generation)
    for written in range(1, len(objects) + 1):
        yield folded(_in_memory(objects[:written]))


def _stored(name: str) -> list[_Object]:
    objects = []
    with gzip.open(LEDGERS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            kept = json.loads(line)
            body, created = kept["body"].encode(), datetime.fromisoformat(kept["created"])
            entry = Entry(kept["key"], kept["generation"], created, len(body), kept["metadata"])
            objects.append(_Object(entry, body))
    return objects


def _in_memory(objects: Iterable[_Object]) -> Ledger:
    cloud = MemoryCloud()
    cloud.state._generations = {each.entry.key: [each] for each in objects}
    return Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))


def folded(ledger: Ledger) -> dict[str, Any]:
    """Everything that people and functions read off a ledger, as plain JSON."""
    told = {model: _of_model(ledger, model) for model in reading.models(ledger)}
    plain: dict[str, Any] = json.loads(json.dumps(told, default=str))
    return plain


def _of_model(ledger: Ledger, model: ModelName) -> dict[str, Any]:
    runs = [RunId(line.run) for line in reading.runs(ledger, model)]
    champion, wanted = production(ledger, model), current(ledger, MemoryCloud().data, model)
    return {
        "status": reading.status(ledger, model),
        "runs": [vars(line) for line in reading.runs(ledger, model)],
        "uploads": reading.uploads(ledger, MemoryCloud().data, model),
        "waiting": vars(waiting(ledger, model, len(runs) + 1)),
        "production": champion.to_json() if champion else None,
        "settings": [wanted[0], wanted[1].model_dump(mode="json", exclude_defaults=True)] if wanted else None,
        "rollouts": [_of_rollout(ledger, model, number + 1) for number in range(last_rollout(ledger, model))],
        "history": {
            run: [[record.key, record.by, [event.payload.topic for event in record.events]]
                  for record in reading.timeline(ledger, run)]
            for run in runs
        },
    }  # fmt: skip


def _of_rollout(ledger: Ledger, model: ModelName, number: int) -> dict[str, Any]:
    rollout = load(ledger, model, number)
    return {
        "candidate": rollout.candidate.to_json(),
        "base": rollout.base.to_json() if rollout.base else None,
        "ordered": [record.data["percent"] for record in rollout.ordered],
        "percent": rollout.percent,
        "decision": rollout.decision,
        "desired": rollout.desired_split(),
        "production": rollout.production.to_json() if rollout.production else None,
        "end": rollout.end.data["outcome"] if rollout.end else None,
    }


def keep(home: Path, name: str) -> None:
    """Keeps the ledger of a local installation that has been stopped, and what is read off it today."""
    connection = sqlite3.connect(f"file:{home}/storage/storage.sqlite?mode=ro", uri=True)
    with gzip.GzipFile(LEDGERS / f"{name}.jsonl.gz", "wb", mtime=0) as file:
        for key, generation, created_us, attributes, body in connection.execute(_STORED):
            if not key.startswith(_LEFT_OUT) and "/reports/" not in key:
                created = datetime.fromtimestamp(created_us / 1e6, UTC).isoformat()
                metadata = json.loads(attributes).get("metadata") or {}
                kept = {"key": key, "generation": generation, "created": created, "metadata": metadata}
                file.write(json.dumps({**kept, "body": bytes(body or b"").decode()}).encode() + b"\n")
    told = json.dumps(folded(opened(name)), indent=1, sort_keys=True)
    (LEDGERS / f"{name}.json").write_text(told + "\n")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2])
