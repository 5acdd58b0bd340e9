"""Leaving a rollout: the verdict first, then a look, because whoever shifts traffic looks at the verdict last.

verdict ─► look: candidate has traffic? base gets 100 % ─► seen ─► candidate undeployed ─► end
   └ promoted before: the older version comes back from the registry, by a rollout of its own
"""

from return_to_version import come_back, nowhere_to_go

from shared.backends import serving
from shared.errors import Conflict, NotYet, Refused
from shared.events import Notification, RetirementDue, RollbackRequested, RolledBack
from shared.ledger import Outcome, Record, rollout_key, run_key
from shared.rollouts import ALL, Rollout, load, production_endpoint
from shared.serving import Endpoint
from shared.step import Events, Step

_TRIES = 5


def leave(event: RollbackRequested, step: Step) -> Events:
    """Decides against the rollout unless it was promoted before, and carries that out as far as it can come now.

    It looks even when the rollout has ended: a deployment or a shift that slept may have come after the end.
    """
    rollout = load(step.ledger, event.model, event.rollout)
    if rollout.base is None and rollout.decision is None and _answers(rollout, step):
        return nowhere_to_go(event, rollout, step)
    verdict = step.ledger.once(rollout_key(event.model, event.rollout, "verdict"), lambda: _verdict(event))
    if verdict.data["decision"] != "rollback":
        return come_back(event, rollout, step)
    endpoint = _without_traffic(rollout, step)
    if endpoint is not None and endpoint.holds(rollout.candidate.id):
        _undeploy(rollout, step)
    ended = step.ledger.once(rollout_key(event.model, event.rollout, "end"), lambda: _ended(rollout, verdict, step))
    data = {
        "outcome": _outcome(verdict),
        "by": verdict.data["by"],
        "reasons": [verdict.data["because"]],
        "set_aside": False,
    }
    step.ledger.once(run_key(rollout.candidate.run, "end"), lambda: Outcome(data))
    return ended.events


def _answers(rollout: Rollout, step: Step) -> bool:
    """Whether the first model of all answers, as nothing else would; one that never had traffic, or is gone, does not.

    On Cloud Run it has traffic as soon as it stands, and is in nobody's use before that was seen.
    """
    endpoint = serving(rollout.candidate.run, step).endpoint(production_endpoint(rollout.model))
    return bool(rollout.shifted) and endpoint is not None and rollout.candidate.id in endpoint.deployed


def _verdict(event: RollbackRequested) -> Outcome:
    asked = event.model_dump(mode="json", include={"by", "because", "set_aside", "inconclusive", "numbers"})
    return Outcome({"decision": "rollback", **asked})


def _outcome(verdict: Record) -> str:
    if verdict.data.get("outcome") == "failed":
        return "failed"  # whoever could not deploy it decided that, and died
    return "inconclusive" if verdict.data.get("inconclusive") else "rolled back"


def _without_traffic(rollout: Rollout, step: Step) -> Endpoint | None:
    """The endpoint once the candidate has no share of it, the base having all; as it is where there is no base."""
    name, backend = production_endpoint(rollout.model), serving(rollout.candidate.run, step)
    for _ in range(_TRIES):
        endpoint = backend.endpoint(name)
        # A first model that was given up goes with its traffic: on Cloud Run it has all of it as soon as it stands.
        if endpoint is None or rollout.base is None or not endpoint.split.get(rollout.candidate.id):
            return endpoint
        try:
            backend.set_split(endpoint, {rollout.base.id: ALL})
        except (Conflict, Refused):  # another operation is under way, or the base is not there: look again
            continue
    raise NotYet("an endpoint that nobody else is changing, with the base on it")


def _undeploy(rollout: Rollout, step: Step) -> None:
    try:
        serving(rollout.candidate.run, step).undeploy(production_endpoint(rollout.model), rollout.candidate.id)
    except Conflict as conflict:
        raise NotYet("an endpoint that nobody else is changing") from conflict
    except Refused as refused:
        if not refused.absent:
            raise NotYet("the end of its traffic") from refused


def _ended(rollout: Rollout, verdict: Record, step: Step) -> Outcome:
    data, run, outcome = verdict.data, rollout.candidate.run, _outcome(verdict)
    seconds = (step.cloud.now() - verdict.at).total_seconds()
    told = RolledBack(
        model=rollout.model, run=run, rollout=rollout.number, by=data["by"], because=data["because"],
        set_aside=data["set_aside"], inconclusive=outcome == "inconclusive", numbers=data.get("numbers") or {},
    )  # fmt: skip
    older = RetirementDue(model=rollout.model, run=run, what="versions", target=rollout.model)
    return Outcome({"outcome": outcome, **data, "seconds": seconds}, (told, _notice(rollout, verdict, outcome), older))


def _notice(rollout: Rollout, verdict: Record, outcome: str) -> Notification:
    answering = (
        f"version {rollout.base.version.rsplit('@', 1)[-1]} answers everything" if rollout.base else "nobody answers"
    )
    return Notification(
        model=rollout.model,
        run=rollout.candidate.run,
        severity="warning",
        title=f"{rollout.model}: {outcome}, {answering}",
        why=(f"asked for by {verdict.data['by']}: {verdict.data['because']}",),
        next="it is not said to be worse: more traffic or labels would tell" if outcome == "inconclusive" else None,
    )
