"""One answer per question: the first in time counts, a later one changes nothing and its sender is told so.

asked ─┬ approve before it expires ─► deployment-approved
       ├ reject, expire ────────────► deployment-rejected, end of the run
       └ approve after it expired ──► refused; `expire` will come
"""

import hashlib
from datetime import datetime

from shared.errors import BadInput
from shared.events import (
    ApprovalAnswered,
    ApprovalRequested,
    DeploymentApproved,
    DeploymentRejected,
    Event,
    Notification,
)
from shared.ids import RunId, run_parts
from shared.ledger import Outcome, Record, run_key
from shared.run_end import run_end
from shared.step import Events, Step

_MAX_TITLE = 200


def answer(event: ApprovalAnswered, step: Step) -> Events:
    """What follows from the run's one answer, whoever gave it; BadInput if nothing was asked."""
    asked = _question(event.run, step)
    key = run_key(event.run, "approval")
    standing = step.ledger.find(key)
    if standing is None and is_late(event, asked.expires, step.cloud.now()):
        return _refused(event, f"it expired at {asked.expires:%Y-%m-%d %H:%M} UTC", step)
    approval = standing or step.ledger.once(key, lambda: answered(event, asked))
    follow = (*approval.events, *_ended(event.run, approval, step))
    if _is(approval, event) or event.answer == "expire":
        return follow
    return *follow, *_refused(event, f"{approval.data['by']} had answered {approval.data['answer']}", step)


def is_late(event: ApprovalAnswered, expires: datetime, now: datetime) -> bool:
    """Whether an answer comes too late to deploy anything; to reject is never too late."""
    return event.answer == "approve" and now >= expires


def answered(event: ApprovalAnswered, asked: ApprovalRequested) -> Outcome:
    """The run's answer and what follows from it."""
    data = {"answer": event.answer, "by": event.by, "because": event.because}
    return Outcome(data, _follow(event, asked))


def _follow(event: ApprovalAnswered, asked: ApprovalRequested) -> tuple[Event, ...]:
    model, run = asked.model, asked.run
    reasons = (_reason(event.answer, event.by, event.because), *asked.reasons)
    if event.answer != "approve":
        rejected = DeploymentRejected(
            model=model, run=run, score=asked.score, by=event.by, reasons=reasons, set_aside=False
        )
        return (rejected,)  # the run's end tells people
    approved = DeploymentApproved(
        model=model, run=run, artefacts=asked.artefacts, digest=asked.digest, score=asked.score, by=event.by,
        reasons=reasons,
    )  # fmt: skip
    return approved, Notification(
        model=model, run=run, title=f"{run}: approved by {event.by}"[:_MAX_TITLE], why=reasons
    )


def _ended(run: RunId, approval: Record, step: Step) -> Events:
    if approval.data["answer"] == "approve":
        return ()
    return step.ledger.once(run_key(run, "end"), lambda: _end(run, approval)).events


def _end(run: RunId, approval: Record) -> Outcome:
    by, given = approval.data["by"], approval.data["answer"]
    title = f"{run}: {'expired' if given == 'expire' else f'rejected by {by}'}"
    return run_end(run, "rejected", by, title, (_reason(given, by, approval.data["because"]),))


def _question(run: RunId, step: Step) -> ApprovalRequested:
    decision = step.ledger.find(run_key(run, "decision"))
    for envelope in decision.events if decision else ():
        if isinstance(envelope.payload, ApprovalRequested):
            return envelope.payload
    raise BadInput(f"answer for {run}", ["nothing was asked about this run"])


def _refused(event: ApprovalAnswered, why: str, step: Step) -> Events:
    """The record of an answer that did not count, one per sender's event, and the notice that tells him."""
    about = hashlib.sha256((step.cause or "").encode()).hexdigest()[:20]
    reasons = (why, _reason(event.answer, event.by, event.because))

    def refused() -> Outcome:
        title = f"{event.run}: the answer of {event.by} came too late"[:_MAX_TITLE]
        notice = Notification(
            model=run_parts(event.run)[0], run=event.run, severity="warning", title=title, why=reasons
        )
        data = {"refused": why, "answer": event.answer, "by": event.by, "because": event.because}
        return Outcome(data, (notice,))

    return step.ledger.once(run_key(event.run, f"approval-refused/{about}"), refused).events


def _is(approval: Record, event: ApprovalAnswered) -> bool:
    given = (approval.data["answer"], approval.data["by"], approval.data["because"])
    return given == (event.answer, event.by, event.because)


def _reason(given: str, by: str, because: str) -> str:
    return f"{given} by {by}: {because}"
