"""A rollout's candidate on the production endpoint: ordered once, looked at until it stands.

deployment/claims/… ─► deploy ─► deployment {operation, refused} ─► stands | trouble | not yet
      └ busy: again, until the first claim is too old ─► refused
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.awaited import tell
from shared.backends import serving as serving_of
from shared.errors import Conflict, NotYet, Refused, SerinError, Transient
from shared.ledger import Outcome, Record, rollout_key
from shared.rollouts import Rollout, production_endpoint
from shared.settings import ServingSettings
from shared.step import Step


@dataclass(frozen=True)
class Progress:
    """How far a deployment has come; neither standing nor in trouble means that it may still come about.

    `ended` is when it had come about, where the cloud says so.
    """

    stands: bool
    trouble: str = ""
    ended: datetime | None = None


def brought_up(rollout: Rollout, serving: ServingSettings, step: Step) -> Progress:
    """Has the candidate deployed dark, once, and answers how far that is; NotYet while it cannot be ordered."""
    endpoint = serving_of(rollout.candidate.run, step).endpoint(production_endpoint(rollout.model))
    if endpoint is not None and rollout.candidate.id in endpoint.deployed:
        return Progress(stands=True, ended=_ended(rollout, step))
    key = _key(rollout)
    started = step.ledger.find(key)
    if started is None:
        step.ledger.claim(key, step.cloud.environment.lease_seconds)
        started = step.ledger.once(key, lambda: _ordered(rollout, serving, step))
        return Progress(stands=False, trouble=str(started.data["refused"]))
    return Progress(stands=False, trouble=_trouble(rollout, started, serving, step))


def _key(rollout: Rollout) -> str:
    return rollout_key(rollout.model, rollout.number, "deployment")


def _ended(rollout: Rollout, step: Step) -> datetime | None:
    started = step.ledger.find(_key(rollout))
    if started is None or started.data["operation"] is None:
        return None
    try:
        ended = serving_of(rollout.candidate.run, step).operation(started.data["operation"]).ended
    except Refused:
        return None  # an old operation is forgotten
    tell("deployment of the canary", started, None, ended, step)
    return ended


def _ordered(rollout: Rollout, serving: ServingSettings, step: Step) -> Outcome:
    try:
        operation = serving_of(rollout.candidate.run, step).deploy(
            production_endpoint(rollout.model), rollout.candidate.id, rollout.candidate.version, serving.machine, {}
        )
    except (Conflict, Refused, Transient) as error:
        first = step.ledger.require(f"{_key(rollout)}/claims/000001")
        return Outcome({"operation": None, "refused": given_up(error, first, serving, step)})
    return Outcome({"operation": operation.name, "refused": ""})


def given_up(error: SerinError, began: Record, serving: ServingSettings, step: Step) -> str:
    """Why an order that was refused is refused for good; until the time for it is over, NotYet of what may pass.

    Vertex AI also answers 400 to what comes while another operation is under way.
    """
    if isinstance(error, Refused) and not error.reason.startswith("status 400"):
        return error.reason
    late = overdue(began, serving, step)
    if not late:
        raise NotYet(str(error)) from error
    return f"{late}: {error.reason if isinstance(error, Refused) else error}"


def overdue(began: Record, serving: ServingSettings, step: Step) -> str:
    """That what this record began has taken too long; nothing while it has not."""
    limit = serving.deploy_timeout_seconds
    return f"not done after {limit} s" if step.cloud.now() - began.at > timedelta(seconds=limit) else ""


def _trouble(rollout: Rollout, started: Record, serving: ServingSettings, step: Step) -> str:
    """Why a deployment will not come about; nothing while it still may."""
    if started.data["operation"] is None:
        return str(started.data["refused"])
    return _error(rollout, started, step) or overdue(started, serving, step)


def _error(rollout: Rollout, started: Record, step: Step) -> str:
    """What a deployment has failed with; nothing of an operation that cannot be asked: it may be forgotten."""
    try:
        operation = serving_of(rollout.candidate.run, step).operation(started.data["operation"])
    except (Refused, Transient):
        return ""
    return operation.error if operation.done else ""
