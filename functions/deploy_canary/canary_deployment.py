"""A rollout's beginning: opened once, deployed dark under the rollout's own number, then its first step ordered.

opened ─► [verdict, end?] ─► endpoint ─► deployment ~ ─► [verdict, end?] ─► steps/1

A rollout that still bakes is ended by the next one's beginning, and said to be with whatever is said from then on.
"""

from datetime import datetime

from shared.awaited import iso
from shared.backends import serving
from shared.deployment import brought_up, given_up, overdue
from shared.errors import BadInput, Conflict, NotYet, Refused, Transient
from shared.events import SmokePassed, TrafficRequested
from shared.ids import RunId, run_parts
from shared.ledger import Outcome, Record, rollout_key, run_key
from shared.rollouts import (
    ALL,
    Deployed,
    Rollout,
    load,
    newest,
    production_endpoint,
    promote,
)
from shared.run_end import run_end
from shared.settings import ServingSettings, settings_of
from shared.step import Events, Step

_FIRST_STEP = 1
_ENDED_HERE = "deploy_canary"


def deploy(event: SmokePassed, step: Step) -> Events:
    """Brings the run's rollout as far as it can come now, and says how it ended the one before, if it did.

    That is said also when the rollout cannot come on now: it may be left before it can. `reconcile` asks again.
    """
    try:
        follow = _brought_on(event, step)
    except (NotYet, Transient) as later:
        before = tuple(_end_before(event, step))
        if not before:
            raise
        step.log.say("INFO", str(later))
        return before
    return (*_end_before(event, step), *follow)


def _end_before(event: SmokePassed, step: Step) -> Events:
    """What follows from the end of the rollout before, if it was written here: whoever else wrote it says it."""
    noted = step.ledger.find(run_key(event.run, "rollout"))
    if noted is None:
        return ()
    end = step.ledger.find(rollout_key(event.model, int(noted.data["rollout"]) - 1, "end"))
    return end.events if end is not None and end.by == step.function else ()


def _brought_on(event: SmokePassed, step: Step) -> Events:
    """What follows from what the rollout has come to; nothing while an operation is under way."""
    ended = step.ledger.find(run_key(event.run, "end"))
    if ended is not None:
        return ended.events if ended.data.get("by") == _ENDED_HERE else ()  # what others have ended, they say
    rollout = load(step.ledger, event.model, _number(event, step))
    if rollout.ordered:
        return rollout.ordered[0].events
    if rollout.verdict is not None or rollout.end is not None:
        return _withdrawn(rollout, step)
    wanted = settings_of(step.ledger, event.run).serving
    if serving(event.run, step).endpoint(production_endpoint(event.model)) is None:
        return _failed(rollout, _make_endpoint(rollout, wanted, step), step)
    progress = brought_up(rollout, wanted, step)
    if not progress.stands:
        return _failed(rollout, progress.trouble, step)
    now = load(step.ledger, event.model, rollout.number)
    if now.verdict is not None or now.end is not None:
        return _withdrawn(now, step)
    return _order_first_step(event.run, rollout, progress.ended, step)


def _number(event: SmokePassed, step: Step) -> int:
    """The number of the run's rollout, opening it if need be; NotYet while the one before is still under way."""
    standing = step.ledger.find(run_key(event.run, "rollout"))
    if standing is not None:
        return int(standing.data["rollout"])
    last = newest(step.ledger, event.model)
    if last is not None and last.candidate.run == event.run:
        return _noted(event.run, last.number, step)
    if last is not None and last.end is None:
        if not last.live:
            raise NotYet(f"the end of rollout {last.number}")
        promote(step.ledger, last, "the next rollout", f"{event.run} wants to start")
    # Counted from the same look: a rollout that another delivery opens meanwhile is this one, not one more.
    number = (last.number if last else 0) + 1
    opened = step.ledger.once(rollout_key(event.model, number, "opened"), lambda: _opened(event, number, step))
    if opened.data["run"] != event.run:
        raise NotYet(f"the end of rollout {number}")
    return _noted(event.run, number, step)


def _noted(run: RunId, number: int, step: Step) -> int:
    step.ledger.once(run_key(run, "rollout"), lambda: Outcome({"rollout": number}))
    return number


def _opened(event: SmokePassed, number: int, step: Step) -> Outcome:
    last = newest(step.ledger, event.model)
    base = last.production if last else None
    passed = _passed(event.run, step)
    candidate = Deployed(str(number), passed.version, passed.run, passed.artefacts)
    steps = settings_of(step.ledger, event.run).rollout.steps if base else (ALL,)
    data = {
        "run": event.run,
        "candidate": candidate.to_json(),
        "base": base.to_json() if base else None,
        "steps": list(steps),
    }
    return Outcome(data)


def _passed(run: RunId, step: Step) -> SmokePassed:
    """What passed its smoke test as the ledger holds it, whatever the event says; NotYet before it has."""
    smoke = step.ledger.require(run_key(run, "smoke"))
    for event in smoke.events:
        if isinstance(event.payload, SmokePassed):
            return event.payload
    raise BadInput(f"the smoke test of {run}", ["it was not passed"])


def _make_endpoint(rollout: Rollout, wanted: ServingSettings, step: Step) -> str:
    """Has the endpoint made; answers why it never will be, once the time for it is over."""
    try:
        serving(rollout.candidate.run, step).create_endpoint(production_endpoint(rollout.model))
    except (Refused, Transient) as error:
        return f"the endpoint: {given_up(error, rollout.opened, wanted, step)}"
    except Conflict:
        pass  # somebody else is making it
    late = overdue(rollout.opened, wanted, step)
    return f"the endpoint: {late}" if late else ""


def _failed(rollout: Rollout, trouble: str, step: Step) -> Events:
    if not trouble:
        return ()
    because = f"deployment: {trouble}"
    end = {"outcome": "failed", "by": _ENDED_HERE, "because": because, "set_aside": False}
    key = rollout_key(rollout.model, rollout.number, "verdict")
    return _ended_here(rollout, step.ledger.once(key, lambda: Outcome({**end, "decision": "rollback"})), step)


def _ended_here(rollout: Rollout, verdict: Record, step: Step) -> Events:
    """The end of a rollout that was given up here, and of its run; what others have decided, they end."""
    if verdict.data.get("outcome") != "failed":
        return ()
    end = {name: verdict.data[name] for name in ("outcome", "by", "because", "set_aside")}
    step.ledger.once(rollout_key(rollout.model, rollout.number, "end"), lambda: Outcome(end))
    return _run_failed(rollout.candidate.run, verdict, step)


def _run_failed(run: RunId, verdict: Record, step: Step) -> Events:
    """The end of the run whose rollout ended before it began."""
    title = f"{run_parts(run)[0]}: the candidate could not be deployed"
    because = str(verdict.data["because"])
    told = step.ledger.once(run_key(run, "end"), lambda: run_end(run, "failed", _ENDED_HERE, title, (because,)))
    return told.events


def _withdrawn(rollout: Rollout, step: Step) -> Events:
    """Takes back what was deployed for a rollout that was decided meanwhile; ends what was given up and has no end."""
    backend = serving(rollout.candidate.run, step)
    endpoint = backend.endpoint(production_endpoint(rollout.model))
    if rollout.decision == "rollback" and endpoint and rollout.candidate.id in endpoint.deployed:
        try:
            backend.undeploy(production_endpoint(rollout.model), rollout.candidate.id)
        except (Conflict, Refused) as busy:
            raise NotYet("the end of its traffic") from busy
    return _ended_here(rollout, rollout.verdict, step) if rollout.verdict else ()


def _order_first_step(run: RunId, rollout: Rollout, ended: datetime | None, step: Step) -> Events:
    percent = rollout.steps[0]
    asked = TrafficRequested(model=rollout.model, run=run, rollout=rollout.number, step=_FIRST_STEP, percent=percent)
    key = rollout_key(rollout.model, rollout.number, f"steps/{_FIRST_STEP:06d}")
    return step.ledger.once(key, lambda: Outcome({"percent": percent, "ended": iso(ended)}, (asked,))).events
