"""One decision per run: the first accepted evaluation's card, and the event that its verdict leads to.

Only the recorded job of an attempt is heard; a stray job, or one whose attempt was given up, has nothing to say.
"""

from datetime import datetime, timedelta
from typing import assert_never

from cost_forecast import forecast, told_costs

from shared.artefacts import REPORT
from shared.awaited import iso, tell
from shared.errors import BadInput
from shared.events import (
    ApprovalRequested,
    Costs,
    DeploymentApproved,
    DeploymentRejected,
    EvaluationCompleted,
    Event,
    Notification,
)
from shared.ids import RunId, is_test, run_parts
from shared.ledger import Outcome, Record, run_key
from shared.links import link_to
from shared.prices import list_prices
from shared.run_end import run_end
from shared.scorecard import Card, Verdict, grade
from shared.settings import ApprovalSettings, Settings, settings_of
from shared.step import Events, Step

_JUDGE = "scorecard"
_MAX_TITLE = 200


def decide(event: EvaluationCompleted, step: Step) -> Events:
    """The run's one decision; nothing for an evaluation that does not count. NotYet before its job is recorded."""
    key = run_key(event.run, "decision")
    decision = step.ledger.find(key)
    if decision is None:
        job = _accepted_job(event, step)
        if job is None:
            return ()
        settings = settings_of(step.ledger, event.run)
        link = _report(event.artefacts, settings, step)
        decision = step.ledger.once(key, lambda: judged(event, job.data["job"], settings, step.cloud.now(), link))
        tell("training job", job, event.began, step.said, step)
    if not _is_about(decision, event):
        return ()
    if decision.data["verdict"] != Verdict.REJECT and not is_test(event.model):
        return decision.events
    ended = tested if is_test(event.model) else rejected
    link = _report(event.artefacts, settings_of(step.ledger, event.run), step)
    end = step.ledger.once(run_key(event.run, "end"), lambda: ended(event.run, decision, link))
    return (*decision.events, *end.events)


def judged(event: EvaluationCompleted, job: str, settings: Settings, now: datetime, link: str | None = None) -> Outcome:
    """The decision on an evaluation under a run's settings."""
    card = grade(event.evaluation, settings.decision)
    data = {
        "verdict": card.verdict.value,
        "card": card.model_dump(mode="json"),
        "evaluation": event.evaluation.model_dump(mode="json"),
        "artefacts": event.artefacts,
        "digest": event.digest,
        "attempt": event.attempt,
        "job": job,
        "began": iso(event.began),
    }
    # A test run asks nobody and approves nothing: its end tells what the decision would have been.
    return Outcome(data, () if is_test(event.model) else _events(event, card, settings, now, link))


def rejected(run: RunId, decision: Record, link: str | None = None) -> Outcome:
    """The end of a run whose challenger was rejected, as its decision tells it."""
    card = Card.model_validate(decision.data["card"])
    aside = ("its rows are set aside: later runs do not train on them",) if card.doubts_rows else ()
    title = f"{run}: rejected, {card.reason}"
    reasons = (*card.lines(), *aside)
    return run_end(run, "rejected", _JUDGE, title, reasons, set_aside=card.doubts_rows, link=link)


def tested(run: RunId, decision: Record, link: str | None = None) -> Outcome:
    """The end of a test run, whatever its challenger is worth: nothing of it is ever staged."""
    card = Card.model_validate(decision.data["card"])
    title = f"{run}: test run over, {card.verdict.value}: {card.reason}"
    return run_end(run, "tested", _JUDGE, title, ("a test run: nothing is deployed", *card.lines()), link=link)


def _report(place: str, settings: Settings, step: Step) -> str:
    """Where the report can be opened; of a trainer of one's own, which need not leave any, the artefacts' folder."""
    known = place if settings.training.image else f"{place}{REPORT}"
    return link_to(known, step.cloud.environment.storage_endpoint)


def _events(
    event: EvaluationCompleted, card: Card, settings: Settings, now: datetime, link: str | None
) -> tuple[Event, ...]:
    model, _ = run_parts(event.run)
    reasons = card.lines()
    match card.verdict:
        case Verdict.DEPLOY:
            approved = DeploymentApproved(
                model=model, run=event.run, artefacts=event.artefacts, digest=event.digest, score=card.total,
                by=_JUDGE, reasons=reasons, card=card,
            )  # fmt: skip
            return approved, _notice(event.run, f"deployed, {card.reason}", reasons, None, link)
        case Verdict.ASK:
            priced = forecast(list_prices(), settings)
            asked = _question(event, card, settings.approval, priced, now)
            who = f" (by {', '.join(asked.approvers)})" if asked.approvers else ""
            wanted = (
                f"serin approve {event.run} or serin reject {event.run}{who}, before {asked.expires:%Y-%m-%d %H:%M} UTC"
            )
            why = (*reasons, told_costs(priced))
            return asked, _notice(event.run, f"a person is asked, {card.reason}", why, wanted, link)
        case Verdict.REJECT:
            rejection = DeploymentRejected(
                model=model, run=event.run, score=card.total, by=_JUDGE, reasons=reasons, card=card,
                set_aside=card.doubts_rows,
            )  # fmt: skip
            return (rejection,)  # the run's end tells people
    assert_never(card.verdict)


def _notice(run: RunId, title: str, reasons: tuple[str, ...], wanted: str | None, link: str | None) -> Notification:
    model, _ = run_parts(run)
    title = f"{run}: {title}"[:_MAX_TITLE]
    return Notification(model=model, run=run, title=title, why=reasons, next=wanted, link=link)


def _question(
    event: EvaluationCompleted, card: Card, approval: ApprovalSettings, costs: Costs, now: datetime
) -> ApprovalRequested:
    model, _ = run_parts(event.run)
    return ApprovalRequested(
        model=model, run=event.run, artefacts=event.artefacts, digest=event.digest, score=card.total,
        question=f"Shall {event.run} get its first traffic? {card.reason}",
        report=f"{event.artefacts}{REPORT}", reasons=card.lines(), card=card, approvers=approval.approvers,
        costs=costs, expires=now + timedelta(hours=approval.expires_hours),
    )  # fmt: skip


def _accepted_job(event: EvaluationCompleted, step: Step) -> Record | None:
    """The record of the job whose evaluation this is; None if it is another's or was given up."""
    recorded = step.ledger.require(run_key(event.run, f"job-{event.attempt}"))
    if _number(recorded.data["job"]) != _number(event.job):
        return None
    place = f"{str(recorded.data.get('output') or f'gs://{step.cloud.artefacts.bucket}').rstrip('/')}/"
    if not event.artefacts.startswith(place):
        raise BadInput("evaluation", ["the artefacts are not where the recorded job puts them"])
    failed = step.ledger.find(run_key(event.run, f"failed-{event.attempt}"))
    return recorded if failed is None else None


def _is_about(decision: Record, event: EvaluationCompleted) -> bool:
    return decision.data["attempt"] == event.attempt and _number(decision.data["job"]) == _number(event.job)


def _number(job: str) -> str:
    # A job knows only the last part of its own name.
    return job.rsplit("/", 1)[-1]
