"""One answer per question: the first in time counts, a later one changes nothing and its sender is told so.

asked ─┬ approve, by who may, before it expires ─► deployment-approved
       ├ reject,  by who may, before it expires ─► deployment-rejected, end of the run
       ├ expire, once it has expired ────────────► deployment-rejected, end of the run
       └ too late, too early, by somebody else ──► refused with a reason, and nothing else
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
    if standing is None and (why := objection(event, asked, step.cloud.now())):
        return _refused(event, why, step)
    approval = standing or step.ledger.once(key, lambda: answered(event, asked))
    follow = (*approval.events, *_ended(event.run, approval, step))
    if _is(approval, event) or event.answer == "expire":
        return follow
    return *follow, *_refused(event, f"{approval.data['by']} had answered {approval.data['answer']}", step)


def objection(event: ApprovalAnswered, asked: ApprovalRequested, now: datetime) -> str:
    """Why an answer does not count although it is the first; nothing if it does."""
    expired, expires = now >= asked.expires, f"{asked.expires:%Y-%m-%d %H:%M} UTC"
    if event.answer == "expire":
        return "" if expired else f"it expires at {expires}, not before"
    if asked.approvers and event.by not in asked.approvers:
        return f"{event.by} is not among those who may answer: {', '.join(asked.approvers)}"
    return f"it expired at {expires}" if expired else ""


def answered(event: ApprovalAnswered, asked: ApprovalRequested) -> Outcome:
    """The run's answer and what follows from it."""
    data = {"answer": event.answer, "by": event.by, "because": event.because}
    return Outcome(data, _follow(event, asked))


def _follow(event: ApprovalAnswered, asked: ApprovalRequested) -> tuple[Event, ...]:
    model, run = asked.model, asked.run
    reasons = (_reason(event.answer, event.by, event.because), *asked.reasons)
    if event.answer != "approve":
        rejected = DeploymentRejected(
            model=model, run=run, score=asked.score, by=event.by, reasons=reasons, card=asked.card, set_aside=False
        )
        return (rejected,)  # the run's end tells people
    approved = DeploymentApproved(
        model=model, run=run, artefacts=asked.artefacts, digest=asked.digest, score=asked.score, by=event.by,
        reasons=reasons, card=asked.card,
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
        title = f"{event.run}: the answer of {event.by} does not count"[:_MAX_TITLE]
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
