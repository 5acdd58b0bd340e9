"""Leaving a rollout that was promoted: the version before it comes back from the registry, by a rollout of its own.

rollouts/<n>/opened {candidate: the version before, base: what is left} ─► [returned] ─► deployment ~ ─► steps/1 (100 %)

Its base answers until the older version stands. It is promoted as soon as it is seen to answer everything: it is known.
`returned` stands where the rows of what is left are to be set aside.
`reconcile` says the request again until the first step is ordered. Whoever asks anew once that has failed is given a
rollout more; the same request delivered again is not.
"""

import hashlib

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
    attempt = _attempt(left, last, step)
    if attempt is not None:
        return _gone_on(left, attempt, step)
    if last.end is None:
        return _refused(event, left, f"rollout {last.number} is under way: leave that one first", step)
    if last.production is None or last.production.id != left.candidate.id:
        return _refused(event, left, f"what it brought is not in production any more since rollout {last.number}", step)
    return _opened(event, left, last.number + 1, step)


def _attempt(left: Rollout, last: Rollout, step: Step) -> Rollout | None:
    """The return that a request belongs to: the newest if it has not failed, or else the one that it has opened."""
    if last.returns == left.number and (last.end is None or last.decision != "rollback"):
        return last
    for number in range(last.number, left.number, -1):
        opened = step.ledger.require(rollout_key(left.model, number, "opened"))
        if opened.data.get("returns") == left.number and step.cause in _causes(opened):
            return load(step.ledger, left.model, number)
    return None


def _causes(opened: Record) -> set[str]:
    """The request that has opened a return, and that request as it is said again."""
    return {*([opened.origin.event] if opened.origin else []), *(envelope.id for envelope in opened.events)}


def _gone_on(left: Rollout, attempt: Rollout, step: Step) -> Events:
    """What has come of a return by now, with its announcement until people have heard it."""
    asked = {name: attempt.opened.data[name] for name in ("by", "because", "set_aside")}
    if asked["set_aside"]:  # whichever attempt wants that: whoever trains looks for this one record
        returned = rollout_key(left.model, left.number, "returned")
        step.ledger.once(returned, lambda: Outcome({"rollout": attempt.number, **asked}))
    return [*_notices(attempt.opened, step), *_brought_back(attempt, step)]


def nowhere_to_go(event: RollbackRequested, left: Rollout, step: Step) -> Events:
    """The first model of all has none before it."""
    return _refused(event, left, "there is no version before it", step)


def _opened(event: RollbackRequested, left: Rollout, number: int, step: Step) -> Events:
    key = rollout_key(event.model, number, "opened")
    opened = step.ledger.once(key, lambda: _opening(event, left, number))
    if opened.data.get("returns") != left.number:
        raise NotYet(f"the end of rollout {number}")
    return _gone_on(left, load(step.ledger, event.model, number), step)


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


def _notices(opened: Record, step: Step) -> list[Envelope]:
    return [envelope for envelope in step.unheard(opened) if isinstance(envelope.payload, Notification)]


def _brought_back(rollout: Rollout, step: Step) -> Events:
    """The order of all traffic once the older version stands, or the end of the attempt."""
    if rollout.end is not None:
        return rollout.end.events
    if rollout.verdict is not None and rollout.decision == "rollback":
        return _given_up(rollout, rollout.verdict, step)
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
    end = {
        "outcome": "failed", "by": "roll_back", "because": f"deployment: {trouble}", "set_aside": False, "numbers": {},
    }  # fmt: skip
    key = rollout_key(rollout.model, rollout.number, "verdict")
    return _given_up(rollout, step.ledger.once(key, lambda: Outcome({**end, "decision": "rollback"})), step)


def _given_up(rollout: Rollout, verdict: Record, step: Step) -> Events:
    """The attempt is over, and what is in production stays there; an attempt that somebody leaves, `leave` ends."""
    if verdict.data.get("outcome") != "failed":
        return ()
    end = {name: verdict.data[name] for name in ("outcome", "by", "because", "set_aside", "numbers")}
    version = rollout.candidate.version.rsplit("@", 1)[-1]
    notice = Notification(
        model=rollout.model, severity="error", title=f"{rollout.model}: version {version} could not be brought back",
        why=(verdict.data["because"],),
        next="what is in production stays there; drop corrected rows, or name another rollout",
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
    asked = hashlib.sha256((step.cause or "").encode()).hexdigest()[:20]
    key = rollout_key(event.model, event.rollout, f"too-late/{asked}")
    return step.ledger.once(key, lambda: Outcome({"by": event.by, "because": event.because}, (notice,))).events
