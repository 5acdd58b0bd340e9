"""What an open run still waits for, and the training jobs that nobody waits for."""

from collections.abc import Iterator
from datetime import datetime

from shared.envelope import Envelope
from shared.errors import Refused
from shared.evaluation import Evaluation
from shared.events import (
    ApprovalAnswered,
    ApprovalRequested,
    DeploymentApproved,
    EvaluationCompleted,
    SmokePassed,
    TrainingFailed,
    TrainingRequested,
)
from shared.ids import ModelName, RunId, run_id
from shared.ledger import Record, run_key
from shared.step import Step
from shared.vertex import Job


def of_run(model: ModelName, window: int, step: Step) -> Iterator[Envelope]:
    """The event that the run's furthest step was started by, or the one that tells it what has happened outside."""
    run = run_id(model, window)
    decision = step.ledger.find(run_key(run, "decision"))
    if decision is None:
        yield from _of_training(model, run, window, step)
        return
    approval = step.ledger.find(run_key(run, "approval"))
    approved = _said(decision, DeploymentApproved) or (_said(approval, DeploymentApproved) if approval else [])
    if not approved:
        yield from _of_approval(decision, approval, step)
        return
    staged = step.ledger.find(run_key(run, "staged"))
    smoke = step.ledger.find(run_key(run, "smoke")) if staged else None
    if staged is None:
        yield from approved
    elif smoke is None:
        yield from staged.events
    else:
        yield from _said(smoke, SmokePassed)


def strays(step: Step) -> None:
    """Cancels every live job that its run's record does not name; before a record exists nobody does."""
    for job in step.cloud.vertex.jobs({"managed-by": "serin"}):
        if not job.ended and _is_stray(job, step):
            step.cloud.vertex.cancel_job(job.name)


def _is_stray(job: Job, step: Step) -> bool:
    run, attempt = RunId(job.labels["serin-run"]), job.labels["serin-attempt"]
    record = step.ledger.find(run_key(run, f"job-{attempt}"))
    return record is not None and record.data["job"] != job.name


def _of_training(model: ModelName, run: RunId, window: int, step: Step) -> Iterator[Envelope]:
    made = [entry for entry in step.ledger.entries(run_key(run, "job-")) if "/claims/" not in entry.key]
    if not made:
        asked = TrainingRequested(model=model, reason="threshold", window=window)
        yield step.ledger.envelope(asked, f"windows/{model}/{window:06d}/resume")
        return
    record = max((step.ledger.require(entry.key) for entry in made), key=lambda each: int(each.data["attempt"]))
    attempt = int(record.data["attempt"])
    failed = step.ledger.find(run_key(run, f"failed-{attempt}"))
    job = step.cloud.vertex.job(record.data["job"])
    reason = failed.data["reason"] if failed else _failure(job)
    if reason:
        event = TrainingFailed(model=model, run=run, attempt=attempt, job=job.name, reason=reason)
        yield step.ledger.envelope(event, run_key(run, f"job-{attempt}/failed"))
    elif job.ended:
        yield from _evaluated(model, run, record, step)


def _failure(job: Job) -> str:
    if not job.ended or job.state == "SUCCEEDED":
        return ""
    return f"the job ended {job.state}{': ' + job.error if job.error else ''}"


def _evaluated(model: ModelName, run: RunId, record: Record, step: Step) -> Iterator[Envelope]:
    """The evaluation of a job that succeeded, read back from its artefacts, in case its event was lost."""
    prefix = f"{record.data['output']}/model"
    key = prefix.removeprefix(f"gs://{step.cloud.artefacts.bucket}/")
    evaluation = step.cloud.artefacts.read(f"{key}/evaluation.json")
    digest = step.cloud.artefacts.read(f"{key}/digest.txt")
    if evaluation is None or digest is None:
        raise Refused("artefacts.read", f"job of {run} succeeded without artefacts")
    event = EvaluationCompleted(
        model=model, run=run, attempt=record.data["attempt"], job=record.data["job"], artefacts=prefix,
        digest=digest.decode(), evaluation=Evaluation.model_validate_json(evaluation),
    )  # fmt: skip
    yield step.ledger.envelope(event, f"{record.key}/evaluated")


def _of_approval(decision: Record, approval: Record | None, step: Step) -> Iterator[Envelope]:
    for asked in _said(decision, ApprovalRequested):
        payload = asked.payload
        assert isinstance(payload, ApprovalRequested)
        if approval is None and _over(payload.expires, step):
            answer = ApprovalAnswered(
                model=payload.model, run=payload.run, answer="expire", by="reconcile", because="nobody answered in time"
            )
            yield step.ledger.envelope(answer, f"{decision.key}/expired")


def _over(expires: datetime, step: Step) -> bool:
    return step.cloud.now() >= expires


def _said(record: Record, kind: type) -> list[Envelope]:
    return [envelope for envelope in record.events if isinstance(envelope.payload, kind)]
