"""Leaving a rollout: the verdict first, then a look, because whoever shifts traffic looks at the verdict last.

verdict ─► look: candidate has traffic? base gets 100 % ─► seen ─► candidate undeployed ─► end
"""

from shared.errors import Conflict, NotYet, Refused
from shared.events import Notification, RollbackRequested, RolledBack
from shared.ledger import Outcome, Record, rollout_key, run_key
from shared.rollouts import ALL, Rollout, load, production_endpoint
from shared.step import Events, Step
from shared.vertex import Endpoint

_TRIES = 5


def leave(event: RollbackRequested, step: Step) -> Events:
    """Decides against the rollout unless it was promoted before, and carries that out as far as it can come now.

    It looks even when the rollout has ended: a deployment or a shift that slept may have come after the end.
    """
    key = rollout_key(event.model, event.rollout, "verdict")
    verdict = step.ledger.once(key, lambda: _verdict(event))
    rollout = load(step.ledger, event.model, event.rollout)
    if verdict.data["decision"] != "rollback":
        return _too_late(event, rollout, step)
    endpoint = _without_traffic(rollout, step)
    if endpoint is not None and rollout.candidate.id in endpoint.deployed:
        _undeploy(rollout, step)
    ended = step.ledger.once(rollout_key(event.model, event.rollout, "end"), lambda: _ended(rollout, verdict, step))
    data = {
        "outcome": "rolled back",
        "by": verdict.data["by"],
        "reasons": [verdict.data["because"]],
        "set_aside": False,
    }
    step.ledger.once(run_key(rollout.candidate.run, "end"), lambda: Outcome(data))
    return ended.events


def _verdict(event: RollbackRequested) -> Outcome:
    asked = event.model_dump(mode="json", include={"by", "because", "set_aside", "numbers"})
    return Outcome({"decision": "rollback", **asked})


def _without_traffic(rollout: Rollout, step: Step) -> Endpoint | None:
    """The endpoint once the candidate has no share of it, the base having all."""
    name = production_endpoint(rollout.model)
    for _ in range(_TRIES):
        endpoint = step.cloud.vertex.endpoint(name)
        if endpoint is None or not endpoint.split.get(rollout.candidate.id):
            return endpoint
        if rollout.base is None:
            raise NotYet("a base to go back to")
        try:
            step.cloud.vertex.set_split(endpoint, {rollout.base.id: ALL})
        except Conflict:
            continue
    raise NotYet("an endpoint that nobody else is changing")


def _undeploy(rollout: Rollout, step: Step) -> None:
    try:
        step.cloud.vertex.undeploy(production_endpoint(rollout.model), rollout.candidate.id)
    except Refused as refused:
        if not refused.absent:
            raise NotYet("the end of its traffic") from refused


def _ended(rollout: Rollout, verdict: Record, step: Step) -> Outcome:
    data, run = verdict.data, rollout.candidate.run
    seconds = (step.cloud.now() - verdict.at).total_seconds()
    told = RolledBack(
        model=rollout.model, run=run, rollout=rollout.number, by=data["by"], because=data["because"],
        set_aside=data["set_aside"], numbers=data["numbers"],
    )  # fmt: skip
    base = rollout.base.version.rsplit("@", 1)[-1] if rollout.base else "none"
    title = f"{rollout.model}: rolled back, version {base} answers everything"
    why = (f"asked for by {data['by']}: {data['because']}",)
    notice = Notification(model=rollout.model, run=run, severity="warning", title=title, why=why)
    return Outcome({"outcome": "rolled back", **data, "seconds": seconds}, (told, notice))


def _too_late(event: RollbackRequested, rollout: Rollout, step: Step) -> Events:
    title = f"{event.model}: rollout {event.rollout} was promoted before it could be rolled back"
    notice = Notification(
        model=event.model,
        run=rollout.candidate.run,
        severity="warning",
        title=title,
        why=(f"asked for by {event.by}: {event.because}",),
        next="drop corrected rows: the next challenger is compared with this version",
    )
    key = rollout_key(event.model, event.rollout, "too-late")
    return step.ledger.once(key, lambda: Outcome({"by": event.by, "because": event.because}, (notice,))).events
