"""Evidence of a rollout under way, kept once per interval, arm and reporter, however often it is delivered.

report ─► reports/<i>/<arm>/<reporter> ─► look: does intervals/<i> stand without it? ─ no ─► it will be listed
                                                        └ yes: late ─► late/<j>/…, j from the interval it came in on,
                                                          walking on while intervals/<j> stands without it
"""

import json
from typing import Literal

from interval_closing import due_now
from interval_records import interval_key, late_prefix, report_key
from rollout_rules import interval_of, rules_of

from shared.errors import BadInput
from shared.events import EvidenceReported
from shared.evidence import counts_of
from shared.evidence_rules import EvidenceRules
from shared.ledger import Outcome, Record, rollout_key
from shared.rollouts import arms_of, last_rollout, production_endpoint
from shared.step import Events, Step

Arm = Literal["canary", "production"]


def keep(event: EvidenceReported, step: Step) -> Events:
    """Records the report if it is about one of the two arms of a canary, and judges what is due.

    Five operations of storage, or as many as closing an interval takes more, however long the rollout has lasted.
    """
    if event.endpoint.rsplit("/", 1)[-1] != production_endpoint(event.model):
        return ()
    number = last_rollout(step.ledger, event.model)
    opened = step.ledger.find(rollout_key(event.model, number, "opened")) if number else None
    if opened is None or step.ledger.find(rollout_key(event.model, number, "end")) is not None:
        return ()
    arm = _arm(opened, event.deployed_model)
    if arm is None:
        return ()
    rules = rules_of(opened, step)
    _keep(event, number, arm, rules, step)
    return due_now(event.model, number, opened, rules, step)


def _keep(event: EvidenceReported, number: int, arm: Arm, rules: EvidenceRules, step: Step) -> None:
    told = _metadata(event)
    key = report_key(event, number, arm)
    kept = step.ledger.record(key, Outcome(event.model_dump(mode="json")), told)
    closed = step.ledger.find(interval_key(event.model, number, event.interval))
    if closed is None or key in closed.data["reports"]:
        return
    came = max(interval_of(kept.at, rules), event.interval + 1)
    _carry_late(event, number, arm, came, told, step)


def _carry_late(event: EvidenceReported, number: int, arm: Arm, came: int, told: dict[str, str], step: Step) -> None:
    """Puts a late report where the next interval that closes will see it, once, whoever delivers it again."""
    while True:
        key = f"{late_prefix(event.model, number, came)}{arm}/{event.interval:012d}/{event.reporter}"
        step.ledger.record(key, Outcome({"interval": event.interval}), told)
        closed: Record | None = step.ledger.find(interval_key(event.model, number, came))
        if closed is None or key in closed.data["late"]:
            return
        came += 1


def _metadata(event: EvidenceReported) -> dict[str, str]:
    """What a listing tells of a report, so that an interval is closed without reading one by one.

    Raises BadInput for numbers that cannot be, and for labels that are not of a batch of this model.
    """
    counts = counts_of(event)
    if event.outcomes is None:
        return {"counts": json.dumps(counts.to_json(), separators=(",", ":"))}
    if not event.outcomes.startswith(f"outcomes/{event.model}/"):
        raise BadInput("evidence", ["outcomes: not a batch of this model"])
    return {"counts": json.dumps({"labelled": event.labelled}), "outcomes": event.outcomes}


def _arm(opened: Record, deployed_model: str) -> Arm | None:
    """Which arm of the comparison a deployed model is; the first model of all has nothing to be compared with."""
    candidate, base = arms_of(opened)
    if base is None:
        return None
    return {candidate.id: "canary", base.id: "production"}.get(deployed_model)  # type: ignore[return-value]
