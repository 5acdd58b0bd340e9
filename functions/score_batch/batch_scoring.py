"""Scores one file by the model in production; called again and again, it goes on where the records say it stands.

opened ─► instances and bad rows written ─► prepared ─┬─► job ─► (it runs) ─┬─► results written ─► end, with its notice
   │                                                  └─ few rows: here ────┘
   └──────────────── anything that will never become right ──────────────────────────────────► end

Everything that is written follows from the file's generation and `opened`, so a delivery that comes twice, at once or
after a crash writes the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from score_here import answers_of, fits
from score_instances import Splitting, features_of
from score_job import cancel_strays, job_of
from score_parts import Parts, lines_below
from score_results import Matching, bad_line

from shared.artefacts import key_of, read_artefact
from shared.errors import BadInput, Refused
from shared.events import Notification
from shared.foreign import ObjectFinalized
from shared.ids import MODEL_NAME_RULE, ModelName, RunId, UploadId, is_model_name, upload_id
from shared.ledger import Outcome, Record, score_key, scoring_prefix
from shared.links import link_to
from shared.rollouts import production
from shared.settings import current
from shared.step import Events, Step
from shared.tables.cells import Unreadable
from shared.tables.forms import Dialect
from shared.tables.source import UploadSource
from shared.tables.streamed import streamed
from shared.vertex import BatchOrder

_ANSWERED = ("SUCCEEDED", "PARTIALLY_SUCCEEDED")
_SKIPPED_SUFFIXES = (".tmp", "/")
_SKIPPED_BEGINNINGS = ("_", ".")  # what writers put beside their files: _SUCCESS, .part-0.crc
_MAX_REASONS = 20


@dataclass(frozen=True)
class _File:
    """A generation of a file to be scored, and where what belongs to it stands."""

    model: ModelName
    object: ObjectFinalized

    @property
    def id(self) -> UploadId:
        return upload_id(self.object.bucket, self.object.name, self.object.generation)

    @property
    def place(self) -> str:
        """Where its results stand in the artefacts bucket."""
        return f"scored/{self.model}/{self.id}/"

    @property
    def title(self) -> str:
        """Its name, short and without characters that steer a terminal."""
        return repr(self.object.name.rsplit("/", 1)[-1][:80])

    @property
    def is_rows(self) -> bool:
        last = self.object.name.rsplit("/", 1)[-1]
        return not (self.object.name.endswith(_SKIPPED_SUFFIXES) or last.startswith(_SKIPPED_BEGINNINGS))

    @property
    def labels(self) -> dict[str, str]:
        """Those of its job."""
        return {"managed-by": "serin", "serin-model": self.model, "serin-score": self.id}

    def key(self, name: str) -> str:
        return score_key(self.model, self.id, name)


def score(arrived: ObjectFinalized, step: Step) -> Events:
    """Carries the scoring of a file as far as it can go now; its one end tells people."""
    file = _File(_model(arrived.name), arrived)
    end = step.ledger.find(file.key("end"))
    if end is not None and (end.data.get("job") or end.data["outcome"] == "not scored"):
        cancel_strays(step.ledger.find(file.key("job")), file.labels, step)
    if end is None:
        end = _go_on(file, step) if file.is_rows else step.ledger.once(file.key("end"), lambda: _skipped(file))
    return end.events if end is not None else ()


def _go_on(file: _File, step: Step) -> Record | None:
    """The end of the scoring if it comes to one now."""
    opened: Record | None = None
    try:
        opened = step.ledger.find(file.key("opened")) or _open(file, step)
        prepared = step.ledger.find(file.key("prepared")) or _prepare(file, opened, step)
        answers, job = _answers(file, opened, prepared, step)
        if answers is None:
            return None
        outcome = _scored(file, opened, prepared, answers, job, step)
    except BadInput as bad:
        outcome = _not_scored(file, opened, bad.reasons)
    except Unreadable as unreadable:
        outcome = _not_scored(file, opened, (str(unreadable),))
    return step.ledger.once(file.key("end"), lambda: outcome)


def _open(file: _File, step: Step) -> Record:
    """Fixes which model scores the file and how it is read; BadInput if there is no model, or no settings."""
    told = {"name": file.object.name, "generation": file.object.generation, "model": file.model, "upload": file.id}
    step.ledger.once(f"{scoring_prefix(step.cloud.now().date())}{file.id}", lambda: Outcome(told))
    champion = production(step.ledger, file.model)
    found = current(step.ledger, step.cloud.data, file.model)
    if champion is None or found is None:
        raise BadInput("model", [f"no-model: no version of {file.model} is in production"])
    _, settings = found
    data = {
        **told,
        "version": champion.version,
        "run": champion.run,
        "artefacts": champion.artefacts,
        "delimiter": settings.data.delimiter,
        "quote": settings.data.quote,
        "max_bytes": settings.data.max_bytes,
        "optional": [name for name, rule in settings.data.columns.items() if rule.optional],
        "shown": not any(rule.sensitive for rule in settings.data.columns.values()),
        "machine_type": settings.serving.machine_type,
        "rows_scored_here": settings.serving.rows_scored_here,
    }
    return step.ledger.once(file.key("opened"), lambda: Outcome(data))


def _prepare(file: _File, opened: Record, step: Step) -> Record:
    """Writes the instances that the model can read and, aside, the rows that it cannot."""
    asked, store = opened.data, step.cloud.artefacts
    features = features_of(read_artefact(store, asked["artefacts"], "signature.json"))
    splitting = Splitting(features, frozenset(asked["optional"]))
    instances, bad = Parts(store, f"{file.place}instances"), Parts(store, f"{file.place}bad_rows")
    try:
        for batch in streamed(_source(file, step), file.object.name, _dialect(asked), asked["max_bytes"]):
            for row in splitting.rows_of(batch):
                if row.reasons:
                    bad.add(bad_line(row, asked["shown"]))
                else:
                    instances.add(row.instance)
    except Refused as refused:
        if not refused.absent:
            raise
        raise BadInput("file", ["gone: the file was deleted before it was read"]) from refused
    splitting.close()
    instances.close()
    bad.close()
    if not instances.lines:
        raise BadInput("rows", [f"hopeless: none of {splitting.rows} rows can be read; see {_where(file, step)}"])
    data = {"rows": splitting.rows, "bad": bad.lines, "instances": instances.keys, "key": features.key}
    return step.ledger.once(file.key("prepared"), lambda: Outcome(data))


def _source(file: _File, step: Step) -> UploadSource:
    entry = step.cloud.data.stat(file.object.name, file.object.generation)
    if entry is None:
        raise BadInput("file", ["gone: the file was deleted before it was read"])
    return UploadSource(step.cloud.data, entry)


def _dialect(asked: Any) -> Dialect:
    return Dialect(asked["delimiter"], asked["quote"])


def _order(file: _File, opened: Record, prepared: Record, step: Step) -> BatchOrder:
    bucket = f"gs://{step.cloud.artefacts.bucket}"
    return BatchOrder(
        display_name=f"serin-{file.model}-{file.id}",
        labels=file.labels,
        version=opened.data["version"],
        inputs=[f"{bucket}/{key}" for key in prepared.data["instances"]],
        output=f"{bucket}/{file.place}job",
        key=prepared.data["key"],
        machine_type=opened.data["machine_type"],
    )


def _answers(file: _File, opened: Record, prepared: Record, step: Step) -> tuple[Iterable[Any] | None, str | None]:
    """The answers to the instances, and the job that gave them if one did; no answers while it runs.

    Raises BadInput if the job has failed.
    """
    asked, store = opened.data, step.cloud.artefacts
    rows = prepared.data["rows"] - prepared.data["bad"]
    if rows <= asked.get("rows_scored_here", 0) and fits(store, asked["artefacts"]):
        instances = lines_below(store, f"{file.place}instances-")
        return answers_of(instances, prepared.data["key"], store, asked["artefacts"]), None
    job = job_of(file.model, file.id, _order(file, opened, prepared, step), step)
    if not job.ended:
        return None, job.name
    if job.state not in _ANSWERED or not job.output:
        raise BadInput("job", [f"the job ended {job.state}{': ' + job.error if job.error else ''}"[:500]])
    return lines_below(store, f"{key_of(store, job.output)}prediction.results-"), job.name


def _scored(
    file: _File, opened: Record, prepared: Record, answers: Iterable[Any], job: str | None, step: Step
) -> Outcome:
    """Writes the results by row, and aside the rows that have none."""
    store, rows = step.cloud.artefacts, prepared.data["rows"]
    matching = Matching(rows, (line["row"] for line in lines_below(store, f"{file.place}bad_rows-")))
    results, unanswered = Parts(store, f"{file.place}results"), Parts(store, f"{file.place}unanswered_rows")
    for number, told, reasons in matching.taken(answers):
        if reasons:
            unanswered.add({"row": number, "reasons": reasons})
        else:
            results.add({"row": number, **told})
    for number, reasons in matching.unanswered():
        unanswered.add({"row": number, "reasons": reasons})
    results.close()
    unanswered.close()
    counts = {"rows": rows, "scored": results.lines, "bad": prepared.data["bad"] + unanswered.lines}
    return _end(file, opened, step, job, counts)


def _end(file: _File, opened: Record, step: Step, job: str | None, counts: dict[str, int]) -> Outcome:
    run, place = RunId(opened.data["run"]), _where(file, step)
    why = [f"by {run}, version {opened.data['version'].rsplit('@', 1)[-1]}", f"results: {place}results-*.jsonl"]
    if counts["bad"]:
        why.append(f"{counts['bad']} bad rows with reasons: {place}bad_rows-*.jsonl, unanswered_rows-*.jsonl")
    notice = Notification(
        model=file.model,
        run=run,
        severity="warning" if counts["bad"] else "info",
        title=f"{file.model}: {counts['scored']} of {counts['rows']} rows of {file.title} are scored"[:200],
        why=tuple(why),
        link=link_to(place, step.cloud.environment.storage_endpoint),
    )
    kept = {name: opened.data[name] for name in ("name", "version", "run")}
    data = {"outcome": "scored", **kept, **counts, "job": job, "results": place, "reasons": []}
    return Outcome(data, (notice,))


def _not_scored(file: _File, opened: Record | None, reasons: tuple[str, ...]) -> Outcome:
    told = reasons[:_MAX_REASONS]
    notice = Notification(
        model=file.model,
        run=opened.data["run"] if opened else None,
        severity="error",
        title=f"{file.model}: {file.title} is not scored"[:200],
        why=told,
        next="mend what is named and drop the file again",
    )
    kept = {name: opened.data[name] if opened else None for name in ("version", "run")}
    data = {"outcome": "not scored", "name": file.object.name, **kept, "reasons": list(told)}
    return Outcome(data, (notice,))


def _skipped(file: _File) -> Outcome:
    why = "not-rows: by its name it is not a file of rows"
    return Outcome({"outcome": "skipped", "name": file.object.name, "version": None, "run": None, "reasons": [why]})


def _where(file: _File, step: Step) -> str:
    return f"gs://{step.cloud.artefacts.bucket}/{file.place}"


def _model(name: str) -> ModelName:
    parts = name.split("/")
    if len(parts) < 3 or not is_model_name(parts[1]):
        raise BadInput("file", [f"the name must be score/<model>/<file>, the model {MODEL_NAME_RULE}"])
    return ModelName(parts[1])
