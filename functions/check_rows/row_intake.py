"""One upload, one verdict: the order of writes by which no row is lost or counted twice.

quarantine ─► contents ─► marker ─► look ─► upload record ─► sum ─► publish
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from row_account import BadRow
from row_problems import Problem, shown
from row_reader import read
from row_rules import rules_of

from shared.errors import BadInput, Refused
from shared.events import Notification, TrainingRequested
from shared.foreign import ObjectFinalized
from shared.ids import MODEL_NAME_RULE, ModelName, UploadId, is_model_name, upload_id
from shared.ledger import Outcome, Record, content_key, schema_key, upload_key
from shared.settings import Settings, current
from shared.step import Events, Step
from shared.store import Entry
from shared.tables.checksum import content_id
from shared.tables.forms import Dialect
from shared.tables.source import UploadSource
from shared.threshold import crossed
from shared.uploading import AGAIN
from shared.windows import Upload, carry, known_to_wait, last_window

MAX_REASONS = 50  # more would not be read, and the event that tells them has to stay small
_SKIPPED_SUFFIXES = (".tmp", "/")
_SKIPPED_BEGINNINGS = ("_", ".")  # what writers put beside their files: _SUCCESS, .part-0.crc
_NOTHING: dict[str, Any] = {
    "rows": 0, "accepted": 0, "quarantined": 0, "rejected": 0, "content": None, "window": None, "quarantine": None,
    "again": None, "reasons": [], "problems": [], "notices": [],
}  # fmt: skip


@dataclass(frozen=True)
class _Arrival:
    """An upload with what it is judged by."""

    model: ModelName
    object: ObjectFinalized
    entry: Entry
    settings: Settings

    @property
    def id(self) -> UploadId:
        return upload_id(self.object.bucket, self.object.name, self.object.generation)

    @property
    def again(self) -> str | None:
        """Who asks for it to be counted although its content was counted before."""
        return self.entry.metadata.get(AGAIN)


def take_in(arrived: ObjectFinalized, step: Step) -> Events:
    """Gives an upload its one verdict, its rows their window, and asks for training when enough rows wait there."""
    model = _model(arrived.name)
    key = upload_key(model, upload_id(arrived.bucket, arrived.name, arrived.generation))
    verdict = step.ledger.find(key)
    found = current(step.ledger, step.cloud.data, model)
    if verdict is None:
        judged = _judge(arrived, model, found[1] if found else None, step)
        verdict = step.ledger.record(key, Outcome(judged, _notices(model, judged)))
    if verdict.data["verdict"] != "accepted" or found is None:
        return verdict.events
    return _ask(verdict, model, found[1], step)


def _judge(arrived: ObjectFinalized, model: ModelName, settings: Settings | None, step: Step) -> dict[str, Any]:
    told = {**_NOTHING, "bucket": arrived.bucket, "name": arrived.name, "generation": arrived.generation}
    last = arrived.name.rsplit("/", 1)[-1]
    if arrived.name.endswith(_SKIPPED_SUFFIXES) or last.startswith(_SKIPPED_BEGINNINGS):
        return told | {"verdict": "skipped", "reasons": ["not-rows: by its name it is not a file of rows"]}
    entry = step.cloud.data.stat(arrived.name, arrived.generation)
    if entry is None:
        return told | _rejected([Problem("gone")])
    if not entry.bytes:
        return told | {"verdict": "skipped", "reasons": ["empty-file: the file holds nothing"]}
    if settings is None:
        why = f"has no settings: drop settings/{model}.toml, then this file again"
        return told | _rejected([Problem("no-settings", why)])
    try:
        return told | _weigh(_Arrival(model, arrived, entry, settings), step)
    except Refused as refused:
        if not refused.absent:
            raise
        return told | _rejected([Problem("gone")])


def _weigh(arrival: _Arrival, step: Step) -> dict[str, Any]:
    """Has the rows count once, however often their content comes; nothing is read of what was counted before."""
    model, source = arrival.model, UploadSource(step.cloud.data, arrival.entry)
    content = content_id(source.size, source.md5(), arrival.entry.crc32c)
    key = content_key(model, content)
    owner = step.ledger.find(key)
    if owner is not None and owner.data["upload"] != arrival.id:
        if arrival.again is None:
            why = f"duplicate: the same content as upload {owner.data['upload']}, which counts"
            rows = owner.data["verdict"]["rows"]
            return {"verdict": "duplicate", "rows": rows, "content": content, "reasons": [why]}
        key = content_key(model, f"{content}-again-{arrival.id}")
        owner = step.ledger.find(key)
    if owner is None:
        verdict = _read(arrival, source, step)
        if verdict["verdict"] != "accepted":
            return verdict
        facts = {"upload": arrival.id, "window": last_window(step.ledger, model) + 1, "verdict": verdict}
        owner = step.ledger.record(key, Outcome(facts))
        if owner.data["upload"] != arrival.id:
            return _weigh(arrival, step)  # the same content came twice at once, and the other was first
    return _count(arrival, content, owner, step)


def _count(arrival: _Arrival, content: str, owner: Record, step: Step) -> dict[str, Any]:
    """Carries what was accepted into its window, as its own record says it."""
    verdict, arrived = owner.data["verdict"], arrival.object
    upload = Upload(
        arrival.id, arrived.bucket, arrived.name, arrived.generation, content, verdict["accepted"],
        verdict["quarantine"],
    )  # fmt: skip
    window = carry(step.ledger, arrival.model, upload, owner.data["window"])
    return {**verdict, "content": content, "window": window, "again": arrival.again}


def _read(arrival: _Arrival, source: UploadSource, step: Step) -> dict[str, Any]:
    """Reads and judges the rows; the first accepted upload of a model gives it its schema."""
    data = arrival.settings.data
    schema = step.ledger.find(schema_key(arrival.model))
    rules = rules_of(data, schema.data["columns"] if schema else None)
    reading = read(source, arrival.object.name, rules, Dialect(data.delimiter, data.quote))
    if not reading.accepted:
        told = {"rows": reading.rows, "rejected": reading.rows, "notices": _listed(reading.notices)}
        return _rejected(reading.problems, reading.notices) | told
    if schema is None:
        standing = step.ledger.once(schema_key(arrival.model), lambda: Outcome({"columns": dict(reading.columns)}))
        if standing.data["columns"] != reading.columns:
            return _read(arrival, source, step)  # another first upload set the schema meanwhile: judged by that one
    return {
        "verdict": "accepted",
        "rows": reading.rows,
        "accepted": reading.rows - reading.bad_rows,
        "quarantined": reading.bad_rows,
        "quarantine": _written_aside(arrival, reading.quarantine, step),
        "reasons": _texts(reading.problems, reading.notices),
        "problems": _listed(reading.problems),
        "notices": _listed(reading.notices),
    }


def _written_aside(arrival: _Arrival, rows: tuple[BadRow, ...], step: Step) -> str | None:
    """The key of the record of the bad rows; named by what it says, since later settings would say something else."""
    if not rows:
        return None
    kept = [asdict(row) for row in rows]
    digest = hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]
    key = f"quarantine/{arrival.model}/{arrival.id}/{digest}"
    step.ledger.once(key, lambda: Outcome({"name": arrival.object.name, "rows": kept}))
    return key


def _rejected(problems: "tuple[Problem, ...] | list[Problem]", notices: tuple[Problem, ...] = ()) -> dict[str, Any]:
    return {"verdict": "rejected", "reasons": _texts(problems, notices), "problems": _listed(problems)}


def _texts(problems: "tuple[Problem, ...] | list[Problem]", notices: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in (*problems, *notices)]


def _listed(problems: "tuple[Problem, ...] | list[Problem]") -> list[dict[str, Any]]:
    return [problem.to_json() for problem in problems]


def _notices(model: ModelName, judged: dict[str, Any]) -> tuple[Notification, ...]:
    name = shown(judged["name"].rsplit("/", 1)[-1])
    told = {
        "rejected": f"{name} was rejected",
        "duplicate": f"{name} is a duplicate",
        "accepted": _said_of_accepted(name, judged),
        "skipped": None,
    }[judged["verdict"]]
    if told is None:
        return ()
    bad = judged["verdict"] == "rejected" or judged["quarantined"]
    why = tuple(judged["reasons"][:MAX_REASONS])
    return (Notification(model=model, severity="warning" if bad else "info", title=f"{model}: {told}"[:200], why=why),)


def _said_of_accepted(name: str, judged: dict[str, Any]) -> str | None:
    if judged["quarantined"]:
        return f"{judged['quarantined']} of {judged['rows']} rows of {name} are left out"
    if judged["again"]:
        return f"{name} counts again, as {shown(judged['again'])} asked"
    return f"{name} was accepted, but look at this" if judged["reasons"] else None


def _ask(verdict: Record, model: ModelName, settings: Settings, step: Step) -> Events:
    """Sums the open window and says how far it is; asks for training once it is due."""
    window = last_window(step.ledger, model) + 1
    found = known_to_wait(step.ledger, model, window)
    reason = crossed(settings.threshold, found, step.cloud.now())
    if reason is not None:
        asked = TrainingRequested(model=model, reason=reason, window=window, rows=found.rows)
        return [*verdict.events, step.ledger.envelope(asked, f"windows/{model}/{window:06d}/{reason}")]
    name = shown(verdict.data["name"].rsplit("/", 1)[-1])
    title = f"{model}: {found.rows} of {settings.threshold.at_least} rows wait"
    notice = Notification(model=model, title=title, why=(f"{name} brought {verdict.data['accepted']}",))
    return [*verdict.events, step.ledger.envelope(notice, f"{verdict.key}/waiting")]


def _model(name: str) -> ModelName:
    parts = name.split("/")
    if len(parts) < 3 or not is_model_name(parts[1]):
        raise BadInput("upload", [f"the name must be data/<model>/<file>, the model {MODEL_NAME_RULE}"])
    return ModelName(parts[1])
