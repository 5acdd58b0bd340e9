"""Evidence of a rollout under way, kept once per interval, arm and reporter, however often it is delivered."""

from typing import Literal

from interval_closing import close_due

from shared.events import EvidenceReported
from shared.ledger import Outcome, rollout_key
from shared.rollouts import Rollout, newest, production_endpoint
from shared.step import Events, Step

Arm = Literal["canary", "production"]


def keep(event: EvidenceReported, step: Step) -> Events:
    """Records the report if it is about one of the two arms of a canary, and judges what is due."""
    if event.endpoint.rsplit("/", 1)[-1] != production_endpoint(event.model):
        return ()
    rollout = newest(step.ledger, event.model)
    if rollout is None or rollout.end is not None or rollout.live:
        return ()
    arm = _arm(rollout, event.deployed_model)
    if arm is None or rollout.decision is not None:
        return ()
    key = rollout_key(event.model, rollout.number, f"reports/{event.interval:012d}/{arm}/{event.reporter}")
    step.ledger.record(key, Outcome(event.model_dump(mode="json")))
    return close_due(rollout, step) if rollout.shifted else ()


def _arm(rollout: Rollout, deployed_model: str) -> Arm | None:
    """Which arm of the comparison a deployed model is; the first model of all has nothing to be compared with."""
    if rollout.base is None:
        return None
    return {rollout.candidate.id: "canary", rollout.base.id: "production"}.get(deployed_model)  # type: ignore[return-value]
