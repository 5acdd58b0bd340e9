"""Leaving a rollout that was promoted: the version before it comes back from the registry, by a rollout of its own.

returned ─► rollouts/<n>/opened {candidate: the version before, base: what is left} ─► deployment ~ ─► steps/1 (100 %)

Its base answers until the older version stands. It is promoted as soon as it is seen to answer everything: it is known.
`reconcile` says the request again until the first step is ordered.
"""

from shared.deployment import brought_up
from shared.envelope import Envelope
from shared.errors import NotYet
from shared.events import Notification, RollbackRequested, TrafficRequested
from shared.ledger import Outcome, Record, rollout_key
from shared.rollouts import ALL, Deployed, Rollout, load, newest
from shared.settings import settings_of
from shared.step import Events, Step


def come_back(event: RollbackRequested, left: Rollout, step: Step) -> Events:
    """Brings the version before back as far as it can come now; says why when that cannot be."""
    if left.base is None:
        return nowhere_to_go(event, left, step)
    if left.end is None:
        raise NotYet(f"the end of rollout {left.number}, which is being promoted")
    last = newest(step.ledger, event.model)
    assert last is not None
    if last.returns == left.number:
        return _brought_back(last, step)
    if last.end is None:
        return _refused(event, left, f"rollout {last.number} is under way: leave that one first", step)
    if last.production is None or last.production.id != left.candidate.id:
        return _refused(event, left, f"what it brought is not in production any more since rollout {last.number}", step)
    return _opened(event, left, last.number + 1, step)


def nowhere_to_go(event: RollbackRequested, left: Rollout, step: Step) -> Events:
    """The first model of all has none before it."""
    return _refused(event, left, "there is no version before it", step)


def _opened(event: RollbackRequested, left: Rollout, number: int, step: Step) -> Events:
    key = rollout_key(event.model, number, "opened")
    opened = step.ledger.once(key, lambda: _opening(event, left, number))
    if opened.data.get("returns") != left.number:
        raise NotYet(f"the end of rollout {number}")
    asked = rollout_key(event.model, left.number, "returned")
    data = {"rollout": number, "by": event.by, "because": event.because, "set_aside": event.set_aside}
    step.ledger.once(asked, lambda: Outcome(data))
    return [*_notices(opened), *_brought_back(load(step.ledger, event.model, number), step)]


def _opening(event: RollbackRequested, left: Rollout, number: int) -> Outcome:
    before, now = left.base, left.candidate
    assert before is not None
    version = before.version.rsplit("@", 1)[-1]
    notice = Notification(
        model=event.model,
        run=now.run,
        severity="warning",
        title=f"{event.model}: version {version} comes back from the registry",
        why=(
            f"asked for by {event.by}: {event.because}",
            "it takes as long as a deployment; until then nothing changes",
        ),
    )
    data = {
        "run": before.run,
        "candidate": Deployed(str(number), before.version, before.run, before.artefacts).to_json(),
        "base": now.to_json(),
        "steps": [ALL],
        "returns": left.number,
        **event.model_dump(mode="json", include={"by", "because", "set_aside", "numbers"}),
    }
    return Outcome(data, (event, notice))


def _notices(opened: Record) -> list[Envelope]:
    return [envelope for envelope in opened.events if isinstance(envelope.payload, Notification)]


def _brought_back(rollout: Rollout, step: Step) -> Events:
    """The order of all traffic once the older version stands, or the end of the attempt."""
    if rollout.end is not None:
        return rollout.end.events
    if rollout.ordered:
        return rollout.ordered[0].events
    progress = brought_up(rollout, settings_of(step.ledger, rollout.candidate.run).serving, step)
    if progress.trouble:
        return _failed(rollout, progress.trouble, step)
    if not progress.stands:
        return ()
    asked = TrafficRequested(
        model=rollout.model, run=rollout.candidate.run, rollout=rollout.number, step=1, percent=ALL
    )
    key = rollout_key(rollout.model, rollout.number, "steps/000001")
    return step.ledger.once(key, lambda: Outcome({"percent": ALL}, (asked,))).events


def _failed(rollout: Rollout, trouble: str, step: Step) -> Events:
    """The attempt is over, and what is in production stays there."""
    because = f"deployment: {trouble}"
    end = {"outcome": "failed", "by": "roll_back", "because": because, "set_aside": False, "numbers": {}}
    verdict = rollout_key(rollout.model, rollout.number, "verdict")
    step.ledger.once(verdict, lambda: Outcome({**end, "decision": "rollback"}))
    version = rollout.candidate.version.rsplit("@", 1)[-1]
    notice = Notification(
        model=rollout.model, severity="error", title=f"{rollout.model}: version {version} could not be brought back",
        why=(because,), next="what is in production stays there; drop corrected rows, or name another rollout",
    )  # fmt: skip
    return step.ledger.once(rollout_key(rollout.model, rollout.number, "end"), lambda: Outcome(end, (notice,))).events


def _refused(event: RollbackRequested, left: Rollout, why: str, step: Step) -> Events:
    notice = Notification(
        model=event.model,
        run=left.candidate.run,
        severity="warning",
        title=f"{event.model}: rollout {event.rollout} cannot be rolled back",
        why=(why, f"asked for by {event.by}: {event.because}"),
        next="drop corrected rows: the next challenger is compared with what is in production",
    )
    key = rollout_key(event.model, event.rollout, "too-late")
    return step.ledger.once(key, lambda: Outcome({"by": event.by, "because": event.because}, (notice,))).events
