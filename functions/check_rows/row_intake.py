"""One upload, one verdict: the order of writes by which no row is lost or counted twice.

contents ─► marker ─► look ─► upload record ─► sum ─► publish
"""

from dataclasses import dataclass
from typing import Any

from row_reader import Kind, Reading, read

from shared.errors import BadInput, Refused
from shared.events import Notification, TrainingRequested
from shared.foreign import ObjectFinalized
from shared.ids import MODEL_NAME, ModelName, upload_id
from shared.ledger import Outcome, Record, content_key, upload_key
from shared.settings import Settings, current
from shared.step import Events, Step
from shared.windows import Upload, carry, last_window, waiting_rows

MAX_UPLOAD_BYTES = 10 * 1024**3
MAX_REASONS = 50  # more would not be read, and the event that tells them has to stay small
_SKIPPED_SUFFIXES = (".tmp", "/", "_SUCCESS")


@dataclass(frozen=True)
class _Arrival:
    """An upload with what it is judged by."""

    model: ModelName
    object: ObjectFinalized
    settings: Settings

    @property
    def id(self) -> str:
        return upload_id(self.object.bucket, self.object.name, self.object.generation)


def take_in(arrived: ObjectFinalized, step: Step) -> Events:
    """Gives an upload its one verdict, its rows their window, and asks for training when enough rows wait there."""
    model = _model(arrived.name)
    key = upload_key(model, upload_id(arrived.bucket, arrived.name, arrived.generation))
    verdict = step.ledger.find(key)
    found = current(step.ledger, step.cloud.data, model)
    if verdict is None:
        verdict = step.ledger.record(key, _judge(arrived, model, found[1] if found else None, step))
    if verdict.data["verdict"] != "accepted" or found is None:
        return verdict.events
    return _ask(verdict, model, found[1], step)


def _judge(arrived: ObjectFinalized, model: ModelName, settings: Settings | None, step: Step) -> Outcome:
    if arrived.name.endswith(_SKIPPED_SUFFIXES):
        return _verdict("skipped", model, arrived, ["not a file of rows"])
    if settings is None:
        return _verdict("rejected", model, arrived, [f"no-settings: drop settings/{model}.toml, then this file again"])
    return _weigh(_Arrival(model, arrived, settings), step)


def _weigh(arrival: _Arrival, step: Step) -> Outcome:
    """Reads the rows and, if they are good, makes them count; answers the verdict."""
    model, arrived = arrival.model, arrival.object
    schema = step.ledger.find(_schema_key(model))
    try:
        reading = _read(arrival, schema, step)
    except Refused:
        return _verdict("rejected", model, arrived, ["gone: this generation was deleted before it was read"])
    if not reading.rows and not reading.problems:
        return _verdict("skipped", model, arrived, ["empty"])
    if reading.problems:
        return _verdict("rejected", model, arrived, [str(problem) for problem in reading.problems], reading)
    standing = schema or step.ledger.once(_schema_key(model), lambda: Outcome({"columns": dict(reading.columns)}))
    if schema is None and standing.data["columns"] != reading.columns:
        return _weigh(arrival, step)  # another first upload set the schema meanwhile: judged again, by that one
    return _count(arrival, reading, step)


def _read(arrival: _Arrival, schema: Record | None, step: Step) -> Reading:
    expected: dict[str, Kind] | None = dict(schema.data["columns"]) if schema else None
    chunks = step.cloud.data.stream(arrival.object.name, arrival.object.generation)
    return read(chunks, arrival.settings.data.delimiter, arrival.settings.data.target, expected)


def _count(arrival: _Arrival, reading: Reading, step: Step) -> Outcome:
    """Acceptance: the content's first owner counts, everybody else is its duplicate."""
    model, arrived = arrival.model, arrival.object
    home = last_window(step.ledger, model) + 1
    facts = {"upload": arrival.id, "window": home, "rows": reading.rows}
    content = step.ledger.once(content_key(model, reading.sha256), lambda: Outcome(facts))
    if content.data["upload"] != arrival.id:
        return _verdict("duplicate", model, arrived, [f"the same content as upload {content.data['upload']}"], reading)
    upload = Upload(
        upload_id(arrived.bucket, arrived.name, arrived.generation),
        arrived.bucket, arrived.name, arrived.generation, reading.sha256, reading.rows,
    )  # fmt: skip
    window = carry(step.ledger, model, upload, content.data["window"])
    return _verdict("accepted", model, arrived, [], reading, window)


def _verdict(
    verdict: str, model: ModelName, arrived: ObjectFinalized, reasons: list[str], reading: Reading | None = None,
    window: int | None = None,
) -> Outcome:  # fmt: skip
    data: dict[str, Any] = {
        "verdict": verdict,
        "bucket": arrived.bucket,
        "name": arrived.name,
        "generation": arrived.generation,
        "rows": reading.rows if reading else 0,
        "sha256": reading.sha256 if reading else None,
        "window": window,
        "reasons": reasons[:MAX_REASONS],
    }
    return Outcome(data, _notices(verdict, model, arrived.name, reasons))


def _notices(verdict: str, model: ModelName, name: str, reasons: list[str]) -> tuple[Notification, ...]:
    if verdict in ("accepted", "skipped"):
        return ()
    title = f"{model}: {name.rsplit('/', 1)[-1]} {'was ' + verdict if verdict == 'rejected' else 'is a duplicate'}"
    severity = "warning" if verdict == "rejected" else "info"
    return (Notification(model=model, severity=severity, title=title[:200], why=tuple(reasons[:MAX_REASONS])),)


def _ask(verdict: Record, model: ModelName, settings: Settings, step: Step) -> Events:
    """Sums the open window and says how far it is; asks for training once it is full."""
    window = last_window(step.ledger, model) + 1
    rows, needed = waiting_rows(step.ledger, model, window), settings.threshold.at_least
    if rows >= needed:
        asked = TrainingRequested(model=model, reason="threshold", window=window, rows=rows)
        return [*verdict.events, step.ledger.envelope(asked, f"windows/{model}/{window:06d}/threshold")]
    notice = Notification(model=model, title=f"{model}: {rows} of {needed} rows wait", why=(_counted(verdict),))
    return [*verdict.events, step.ledger.envelope(notice, f"{verdict.key}/waiting")]


def _counted(verdict: Record) -> str:
    return f"{verdict.data['name'].rsplit('/', 1)[-1]} brought {verdict.data['rows']}"


def _schema_key(model: ModelName) -> str:
    return f"schemas/{model}"


def _model(name: str) -> ModelName:
    parts = name.split("/")
    if len(parts) < 3 or MODEL_NAME.fullmatch(parts[1]) is None:
        raise BadInput("upload", ["the name must be data/<model>/<file>, the model a-z, 0-9 and -, at most 40"])
    return ModelName(parts[1])
