"""One step of a rollout, in the one order in which no rolled-back candidate gets traffic again.

read endpoint ─► read verdict, end, later steps ─► write the whole map under that etag ─► read back ─► read the verdict
     ▲                                                      │
     └──────────────── changed meanwhile ───────────────────┘
"""

from shared.backends import serving
from shared.envelope import Envelope
from shared.errors import Conflict, NotYet, Refused
from shared.events import RollbackRequested, TrafficRequested, TrafficShifted
from shared.ledger import Outcome, rollout_key
from shared.rollouts import Rollout, load, production_endpoint, split
from shared.serving import Endpoint
from shared.settings import settings_of
from shared.step import Events, Step

_TRIES = 5


def shift(event: TrafficRequested, step: Step) -> Events:
    """Orders the step's split and records that it was seen; says nothing when the step is over or overtaken."""
    for _ in range(_TRIES):
        try:
            return _once_through(event, step)
        except Conflict:
            continue
    raise NotYet("an endpoint that nobody else is changing")


def _once_through(event: TrafficRequested, step: Step) -> Events:
    backend = serving(event.run, step)
    endpoint = backend.endpoint(production_endpoint(event.model))
    rollout = load(step.ledger, event.model, event.rollout)
    if _is_over(rollout, event.step):
        return ()
    trouble = _trouble(event, rollout, endpoint, step)
    if endpoint is None or trouble:
        return [_given_up(rollout, trouble, step)]
    wanted = split(rollout.candidate, rollout.base, event.percent)
    if dict(endpoint.split) != wanted:
        try:
            backend.set_split(endpoint, wanted)
        except Refused as refused:  # it names what is not deployed any more: look again
            raise Conflict("set_split") from refused
    seen = backend.endpoint(production_endpoint(event.model))
    if seen is None or dict(seen.split) != wanted:
        raise Conflict("set_split")
    now = load(step.ledger, event.model, event.rollout)
    if now.decision == "rollback":
        return [step.ledger.envelope(_left(now), f"{rollout_key(now.model, now.number, 'verdict')}/seen-by-shift")]
    return _record(event, wanted, step)


def _is_over(rollout: Rollout, number: int) -> bool:
    later = any(int(ordered.key.rsplit("/", 1)[-1]) > number for ordered in rollout.ordered)
    return rollout.decision == "rollback" or rollout.end is not None or later


def _trouble(event: TrafficRequested, rollout: Rollout, endpoint: Endpoint | None, step: Step) -> str:
    """Why a step will never be taken: its candidate is gone, or it was ordered too long ago."""
    if endpoint is None:
        return "the endpoint is not there any more"
    if rollout.candidate.id not in endpoint.deployed:
        return "the candidate is not deployed any more"
    ordered = next((each for each in rollout.ordered if int(each.key.rsplit("/", 1)[-1]) == event.step), None)
    taken = any(int(each.key.rsplit("/", 1)[-1]) == event.step for each in rollout.shifted)
    limit = settings_of(step.ledger, rollout.candidate.run).evidence.time_limit_seconds
    late = ordered is not None and (step.cloud.now() - ordered.at).total_seconds() > limit
    return f"{event.percent} % could not be given within {limit:g} s" if late and not taken else ""


def _given_up(rollout: Rollout, trouble: str, step: Step) -> Envelope:
    left = RollbackRequested(
        model=rollout.model, rollout=rollout.number, by="shift_traffic", because=trouble, inconclusive=True
    )
    return step.ledger.envelope(left, f"{rollout_key(rollout.model, rollout.number, 'steps')}/given-up")


def _record(event: TrafficRequested, wanted: dict[str, int], step: Step) -> Events:
    shifted = TrafficShifted(
        model=event.model, run=event.run, rollout=event.rollout, step=event.step, percent=event.percent, split=wanted
    )
    key = rollout_key(event.model, event.rollout, f"shifted/{event.step:06d}")
    return step.ledger.once(key, lambda: Outcome({"percent": event.percent, "split": wanted}, (shifted,))).events


def _left(rollout: Rollout) -> RollbackRequested:
    assert rollout.verdict is not None
    data = rollout.verdict.data
    return RollbackRequested(
        model=rollout.model, rollout=rollout.number, by=data["by"], because=data["because"],
        set_aside=bool(data.get("set_aside")), numbers=data.get("numbers") or {},
    )  # fmt: skip
