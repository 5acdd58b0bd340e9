"""What a model's last run still waits for, and the training jobs that nobody waits for."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from shared.artefacts import EVALUATION, completed, read_artefact, stored_digest
from shared.backends import training
from shared.envelope import Envelope
from shared.errors import BadInput, Refused, Transient
from shared.evaluation import Evaluation, parse
from shared.events import (
    MAX_LOG_LINES,
    ApprovalAnswered,
    ApprovalRequested,
    DeploymentApproved,
    EvaluationCompleted,
    Event,
    Notification,
    RunEvent,
    SmokePassed,
    TrainingFailed,
    TrainingRequested,
)
from shared.ids import ModelName, RunId, is_run, is_test, run_id, run_parts
from shared.jobs import Job
from shared.ledger import Outcome, Record, run_key, window_key
from shared.links import link_to
from shared.rollouts import load
from shared.step import Step

_RECORDED_WITH_AN_END = ("decision", "approval", "smoke")


def of_run(model: ModelName, window: int, step: Step) -> Iterator[Envelope]:
    """The event that the run's furthest step was started by, or the one that tells it what has happened outside."""
    run = run_id(model, window)
    if (end := step.ledger.find(run_key(run, "end"))) is not None:
        yield from _of_ended(run, end, step)
        return
    decision = step.ledger.find(run_key(run, "decision"))
    if decision is None:
        yield from _of_training(model, run, window, step)
    elif is_test(model):
        yield _decided(model, run, decision, step)
    elif decision.data["verdict"] == "deploy":
        yield from _of_staging(run, _said(decision, DeploymentApproved), step)
    elif decision.data["verdict"] == "ask":
        yield from _of_question(run, decision, step)
    else:
        yield _decided(model, run, decision, step)


def _of_ended(run: RunId, end: Record, step: Step) -> Iterator[Envelope]:
    """The end that nobody has heard of, with what was recorded in the same delivery; nothing from then on."""
    unheard = list(step.until_heard(end))
    for name in _RECORDED_WITH_AN_END if unheard else ():
        before = step.ledger.find(run_key(run, name))
        if before is not None and before.origin is not None and before.origin == end.origin:
            yield from before.events
    yield from unheard


def strays(step: Step) -> None:
    """Cancels every live job that its run's record does not name; before a record exists nobody does, in an open run.

    On Vertex AI only: a job of Cloud Run is known by its run's and attempt's name, so there is never a second one.
    """
    for job in step.cloud.vertex.live_jobs({"managed-by": "serin"}):
        if not job.ended and _is_stray(job, step):
            step.cloud.vertex.cancel_job(job.name)


def _is_stray(job: Job, step: Step) -> bool:
    run, attempt = RunId(job.labels.get("serin-run", "")), job.labels.get("serin-attempt", "")
    if not attempt.isdigit() or not is_run(run):
        return False  # whoever made it and gave it our label, no run of ours did
    record = step.ledger.find(run_key(run, f"job-{attempt}"))
    if record is None:
        return step.ledger.find(run_key(run, "end")) is not None  # nobody will record it any more
    return bool(record.data["job"] != job.name)


def _of_training(model: ModelName, run: RunId, window: int, step: Step) -> Iterator[Envelope]:
    made = [entry for entry in step.ledger.entries(run_key(run, "job-")) if "/claims/" not in entry.key]
    if not made:
        asked = TrainingRequested(model=model, reason="threshold", window=window)
        yield step.ledger.envelope(asked, f"windows/{model}/{window:06d}/resume")
        return
    record = max((step.ledger.require(entry.key) for entry in made), key=lambda each: int(each.data["attempt"]))
    attempt = int(record.data["attempt"])
    failed = step.ledger.find(run_key(run, f"failed-{attempt}"))
    job = _found(run, record, step)
    reason = failed.data["reason"] if failed else _failure(job)
    if reason:
        name, began = record.data["job"], job.began if job else None
        log = () if failed else _last_lines(run, name, step)
        event = TrainingFailed(model=model, run=run, attempt=attempt, job=name, reason=reason, log=log, began=began)
        yield _in_its_trace(step.ledger.envelope(event, run_key(run, f"job-{attempt}/failed")), step)
    elif job is not None and job.ended:
        yield from _evaluated(model, run, record, job, step)


def _found(run: RunId, record: Record, step: Step) -> Job | None:
    """The recorded job; None if somebody has deleted it."""
    try:
        return training(run, step).job(record.data["job"])
    except Refused as refused:
        if not refused.absent:
            raise
        return None


def _failure(job: Job | None) -> str:
    if job is None:
        return "the job is gone"
    if not job.ended or job.state == "SUCCEEDED":
        return ""
    return f"the job ended {job.state}{': ' + job.error if job.error else ''}"


def _last_lines(run: RunId, job: str, step: Step) -> tuple[str, ...]:
    """The end of a failed job's log; what has failed is told, also when its log cannot be read."""
    try:
        return training(run, step).job_log(job, MAX_LOG_LINES)
    except (Transient, Refused) as unread:
        return (f"the log could not be read: {unread}",)


def _evaluated(model: ModelName, run: RunId, record: Record, job: Job, step: Step) -> Iterator[Envelope]:
    """The evaluation of a job that succeeded, read back from its artefacts, in case its event was lost."""
    store = step.cloud.artefacts
    try:
        place = completed(store, f"{record.data['output']}/model/")
        evaluation = parse(read_artefact(store, place, EVALUATION))
    except BadInput as missing:
        event: Event = TrainingFailed(
            model=model, run=run, attempt=record.data["attempt"], job=record.data["job"], reason=str(missing),
            began=job.began,
        )  # fmt: skip
    else:
        event = EvaluationCompleted(
            model=model, run=run, attempt=record.data["attempt"], job=record.data["job"], artefacts=place,
            digest=stored_digest(store, place), evaluation=evaluation, began=job.began,
        )  # fmt: skip
    yield _in_its_trace(step.ledger.envelope(event, f"{record.key}/ended"), step)


def _in_its_trace(envelope: Envelope, step: Step) -> Envelope:
    """What is told of a run's job, in the trace of the run and not in that of the tick that saw it."""
    assert isinstance(envelope.payload, RunEvent)
    opened = step.ledger.require(window_key(*run_parts(envelope.payload.run)))
    before = next((each.traceparent for each in opened.events if each.traceparent), envelope.traceparent)
    return replace(envelope, traceparent=before)


def _decided(model: ModelName, run: RunId, decision: Record, step: Step) -> Envelope:
    """The evaluation that was rejected, once more, for the run's end that did not follow."""
    told = decision.data
    event = EvaluationCompleted(
        model=model, run=run, attempt=told["attempt"], job=told["job"], artefacts=told["artefacts"],
        digest=told["digest"], evaluation=Evaluation.model_validate(told["evaluation"]),
    )  # fmt: skip
    return step.ledger.envelope(event, f"{decision.key}/resume")


def _of_question(run: RunId, decision: Record, step: Step) -> Iterator[Envelope]:
    """An answer whose consequences were lost, or the end of the time to answer."""
    approval = step.ledger.find(run_key(run, "approval"))
    if approval is not None and approval.data["answer"] == "approve":
        yield from _of_staging(run, _said(approval, DeploymentApproved), step)
        return
    asked = next(envelope.payload for envelope in _said(decision, ApprovalRequested))
    assert isinstance(asked, ApprovalRequested)
    if approval is not None:
        told = {name: approval.data[name] for name in ("answer", "by", "because")}
    elif step.cloud.now() >= asked.expires:
        told = {"answer": "expire", "by": "reconcile", "because": "nobody answered in time"}
    else:
        yield from _reminder(asked, decision, step)
        return
    answer = ApprovalAnswered(model=asked.model, run=asked.run, **told)
    yield step.ledger.envelope(answer, f"{decision.key}/answered")


def _reminder(asked: ApprovalRequested, decision: Record, step: Step) -> Iterator[Envelope]:
    """The one reminder, halfway through the time to answer; said again for a lease, in case it was lost."""
    if step.cloud.now() < decision.at + (asked.expires - decision.at) / 2:
        return
    who = f" (by {', '.join(asked.approvers)})" if asked.approvers else ""
    notice = Notification(
        model=asked.model, run=asked.run, severity="warning",
        title=f"{asked.run}: still waits for an answer, half of the time is over",
        why=(asked.question, *asked.reasons),
        next=f"serin approve {asked.run} or serin reject {asked.run}{who}, before {asked.expires:%Y-%m-%d %H:%M} UTC",
        link=link_to(asked.report, step.cloud.environment.storage_endpoint) if asked.report else None,
    )  # fmt: skip
    reminded = step.ledger.once(run_key(asked.run, "reminder"), lambda: Outcome({}, (notice,)))
    if step.cloud.now() < reminded.at + timedelta(seconds=step.cloud.environment.lease_seconds):
        yield from reminded.events


def _of_staging(run: RunId, approved: list[Envelope], step: Step) -> Iterator[Envelope]:
    """The event that the next piece of staging, testing or deploying was started by, until the rollout goes on."""
    staged = step.ledger.find(run_key(run, "staged"))
    if staged is None:
        yield from approved
        return
    smoke = step.ledger.find(run_key(run, "smoke"))
    if smoke is None or not smoke.data["passed"]:
        yield from staged.events
        return
    rollout = step.ledger.find(run_key(run, "rollout"))
    if rollout is None or not load(step.ledger, run_parts(run)[0], rollout.data["rollout"]).ordered:
        yield from _said(smoke, SmokePassed)


def _said(record: Record, kind: type) -> list[Envelope]:
    return [envelope for envelope in record.events if isinstance(envelope.payload, kind)]
