"""What the ledger tells a person: uploads, runs, and every record of one run in the order of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import BadInput
from shared.ids import ModelName, RunId, run_parts, upload_id
from shared.ledger import Ledger, Record, rollout_key, run_key, upload_key, window_key, windows_prefix
from shared.rollouts import production
from shared.store import Store
from shared.windows import waiting

_OF_UPLOAD = ("rows", "accepted", "quarantined", "rejected", "window", "run", "again", "problems")


@dataclass(frozen=True)
class RunLine:
    """One run in a list."""

    run: str
    rows: int
    reason: str
    score: int | None
    state: str
    why: str


def models(ledger: Ledger) -> list[ModelName]:
    """Every model that ever had settings."""
    return [ModelName(name) for name in ledger.store.folders("settings/")]


def uploads(ledger: Ledger, data: Store, model: ModelName) -> list[dict[str, Any]]:
    """Every upload of a model with its verdict, in the order in which they were judged, then those not judged yet."""
    records = {entry.key: ledger.require(entry.key) for entry in ledger.entries(f"uploads/{model}/")}
    runs_of = _runs_of_uploads(ledger, model)
    judged = sorted(records.values(), key=lambda record: record.at)
    waiting_for_it = [
        {"upload": upload, "name": entry.key, "verdict": "not judged yet"} | dict.fromkeys(_OF_UPLOAD) | {"reasons": []}
        for entry in data.entries(f"data/{model}/")
        if upload_key(model, upload := upload_id(data.bucket, entry.key, entry.generation)) not in records
    ]
    return [*(_upload_line(record, runs_of) for record in judged), *waiting_for_it]


def _upload_line(record: Record, runs_of: Mapping[str, str]) -> dict[str, Any]:
    upload = record.key.rsplit("/", 1)[-1]
    told = {name: record.data.get(name) for name in ("name", "verdict", *_OF_UPLOAD, "reasons")}
    return {"upload": upload, **told, "run": runs_of.get(upload)}


def _runs_of_uploads(ledger: Ledger, model: ModelName) -> dict[str, str]:
    """The run that each upload is in: only its window's record says it, since a late marker walks on."""
    windows = [ledger.require(entry.key) for entry in ledger.entries(windows_prefix(model))]
    return {upload["id"]: window.data["run"] for window in windows for upload in window.data["uploads"]}


def runs(ledger: Ledger, model: ModelName) -> list[RunLine]:
    """Every run of a model, oldest first."""
    return [_run_line(ledger, ledger.require(entry.key)) for entry in ledger.entries(windows_prefix(model))]


def timeline(ledger: Ledger, run: RunId) -> list[Record]:
    """Every record of a run and of its rollout, in the order of time; raises BadInput when there is no such run."""
    try:
        model, window = run_parts(run)
    except ValueError as error:
        raise BadInput("run", [str(error)]) from error
    opened = ledger.find(window_key(model, window))
    if opened is None:
        raise BadInput("run", [f"there is no run {run}"])
    keys = [entry.key for entry in ledger.entries(run_key(run, ""))]
    rollout = ledger.find(run_key(run, "rollout"))
    if rollout is not None:
        keys += [entry.key for entry in ledger.entries(rollout_key(model, rollout.data["rollout"], ""))]
    told = [key for key in keys if not any(part in key for part in ("/claims/", "/reports/", "/late/"))]
    return sorted([opened, *(ledger.require(key) for key in told)], key=lambda record: record.at)


def status(ledger: Ledger, model: ModelName) -> dict[str, Any]:
    """Where a model stands: its last run, what is in production, how many rows wait."""
    known = runs(ledger, model)
    champion = production(ledger, model)
    window = len(known) + 1
    return {
        "model": model,
        "production": champion.version.rsplit("@", 1)[-1] if champion else None,
        "last_run": known[-1].run if known else None,
        "state": known[-1].state if known else None,
        "waiting_rows": waiting(ledger, model, window).rows,
    }


def _run_line(ledger: Ledger, opened: Record) -> RunLine:
    run = RunId(opened.data["run"])
    decision = ledger.find(run_key(run, "decision"))
    state, why = _state(ledger, run)
    score = decision.data["card"].get("total") if decision else None
    return RunLine(run, opened.data["rows"], opened.data["request"]["reason"], score, state, why)


def _state(ledger: Ledger, run: RunId) -> tuple[str, str]:
    """How a run stands and why: what became of its rollout counts for more than that it once was live."""
    model, _ = run_parts(run)
    rollout = ledger.find(run_key(run, "rollout"))
    left = ledger.find(rollout_key(model, rollout.data["rollout"], "end")) if rollout else None
    if left is not None:
        return left.data["outcome"], f"{left.data['by']}: {left.data['because']}"
    end = ledger.find(run_key(run, "end"))
    if end is not None:
        return end.data["outcome"], "; ".join(end.data["reasons"])
    return "under way", ""
