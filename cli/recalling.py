"""What was said, as the ledger holds it: the events of its records, and what records were made of and tell whole.

A record keeps the events that follow from it. What came from outside (a training job, a person, a serving container)
is in no record's events; but the record that it led to names its id and its time, and often says all that it said.
"""

from collections.abc import Iterable, Iterator, Mapping

from pydantic import ValidationError

from cli import reading
from shared.envelope import Envelope
from shared.events import (
    ApprovalAnswered,
    EvaluationCompleted,
    Event,
    EvidenceReported,
    RollbackRequested,
    TrainingRequested,
)
from shared.ids import ModelName, RunId, run_id, run_parts
from shared.ledger import Ledger, Record, drift_key, rollout_key, rollouts_prefix, run_key

_SOURCE = "//serin/ledger"
_OF_A_MODEL = (
    "drift", "outcomes", "requests", "rollouts", "runs", "scores", "settings-notices", "uploads", "windows",
)  # fmt: skip
_OF_NO_MODEL = ("channels/", "dead-letters/", "refused/")
_SILENT = ("/claims/", "/late/", "/reports/", "/sums/")
"""Parts of keys whose records say nothing; of some there are thousands."""


def of_run(ledger: Ledger, run: RunId) -> list[Envelope]:
    """What was said of a run, in no order; raises BadInput when there is no such run."""
    return _said([*reading.timeline(ledger, run), *_records(ledger, drift_key(run_parts(run)[0], run, ""))])


def of_models(ledger: Ledger, models: Iterable[ModelName]) -> list[Envelope]:
    """What was said of models, and what was said of none that is known, in no order."""
    prefixes = [f"{place}/{model}/" for model in models for place in _OF_A_MODEL]
    return _said(record for prefix in (*prefixes, *_OF_NO_MODEL) for record in _records(ledger, prefix))


def evidence_of_run(ledger: Ledger, run: RunId) -> list[Envelope]:
    """The reports that were kept of both arms of a run's canary; by themselves, since there may be thousands."""
    rollout = ledger.find(run_key(run, "rollout"))
    return _reports(ledger, rollout_key(run_parts(run)[0], rollout.data["rollout"], "reports/")) if rollout else []


def evidence_of_models(ledger: Ledger, models: Iterable[ModelName]) -> list[Envelope]:
    """The same of every canary of models."""
    return [event for model in models for event in _reports(ledger, rollouts_prefix(model))]


def _reports(ledger: Ledger, prefix: str) -> list[Envelope]:
    keys = (entry.key for entry in ledger.entries(prefix))
    return _said(ledger.require(key) for key in keys if "/reports/" in key)


def _records(ledger: Ledger, prefix: str) -> Iterator[Record]:
    for entry in ledger.entries(prefix):
        if not any(part in entry.key for part in _SILENT):
            yield ledger.require(entry.key)


def _said(records: Iterable[Record]) -> list[Envelope]:
    """Each event once: as it was kept, if it was, else made again from the record that it led to."""
    kept: dict[str, Envelope] = {}
    made: dict[str, Envelope] = {}
    for record in records:
        kept |= {event.id: event for event in record.events}
        again = _made_again(record)
        made |= {again.id: again} if again else {}
    return list({**made, **kept}.values())


def _made_again(record: Record) -> Envelope | None:
    """The event that a record was made of, under its own id and time; None where the record does not hold it whole."""
    origin = record.origin
    if origin is None:
        return None
    try:
        event = _heard(record)
    except (KeyError, ValidationError):  # as an earlier version has left it
        return None
    return Envelope(origin.event, _SOURCE, origin.said or origin.began, event) if event else None


def _heard(record: Record) -> Event | None:
    """What the record's function heard, as far as the record tells every field of it."""
    data = record.data
    match record.by, record.key.split("/"):
        case "launch_training", ["windows", model, window]:
            asked = data["request"]
            named = None if asked.get("request") else int(window)
            return TrainingRequested.model_validate({"model": model, "window": named, **asked})
        case "decide_deployment", ["runs", model, window, "decision"]:
            return EvaluationCompleted.model_validate({**_of_run(model, window), **data})
        case "record_approval", ["runs", model, window, "approval" | "approval-refused", *_]:
            return ApprovalAnswered.model_validate({**_of_run(model, window), **data})
        case "roll_back", ["rollouts", model, rollout, "verdict"] if "outcome" not in data:
            return RollbackRequested.model_validate({"model": model, "rollout": int(rollout), **data})
        case "monitor_canary", ["rollouts", _, _, "reports", *_]:
            return EvidenceReported.model_validate(data)
    return None


def _of_run(model: str, window: str) -> Mapping[str, str]:
    return {"model": model, "run": run_id(ModelName(model), int(window))}
