"""What a verdict leads to: the next step of the traffic, a rollback, a notice; or nothing yet."""

from collections.abc import Mapping
from typing import Any

from interval_records import WAITING
from judge import Verdict

from shared.envelope import Envelope
from shared.events import Event, Notification, RollbackRequested, TrafficRequested
from shared.evidence_rules import EvidenceRules
from shared.ledger import Outcome, Record, rollout_key
from shared.rollouts import Rollout
from shared.step import Step

_PAUSES: Mapping[str, tuple[str, str]] = {
    "label_starved": (
        "the canary waits for labels",
        "publish outcomes-observed events with the receipts of its predictions, or set labels_required = false",
    ),
    "split_suspect": (
        "the canary waits: its share of the requests is not the one that was ordered",
        "look whether both versions report, and whether something routes around the endpoint",
    ),
}


def said_at_once(verdict: Verdict, rollout: Rollout, labels: Mapping[str, int]) -> tuple[Event, ...]:
    """The rollback that a final verdict asks for."""
    if verdict.kind in (*WAITING, "go_on"):
        return ()
    left = RollbackRequested(
        model=rollout.model,
        rollout=rollout.number,
        by="monitor_canary",
        because="; ".join(verdict.reasons),
        set_aside="wrong" in verdict.tests,
        inconclusive=verdict.kind != "roll_back",
        numbers={**verdict.numbers, **labels},
    )
    return (left,)


def follow(last: Record, rollout: Rollout, rules: EvidenceRules, step: Step) -> list[Envelope]:
    """What the last verdict leads to, said as often as it is asked for; a pause, until people have been told."""
    kind = last.data["verdict"]["kind"]
    if kind == "go_on":
        return _next_step(last, rollout, step)
    if kind in _PAUSES:
        return list(step.unheard(step.ledger.once(_paused(rollout, last), lambda: _notice(last, rollout, rules))))
    return list(last.events)


def _next_step(last: Record, rollout: Rollout, step: Step) -> list[Envelope]:
    done = int(last.data["step"])
    # A step that was seen to be taken led here itself: ordering it again would go round in a circle.
    if done >= len(rollout.steps) or done < len(rollout.shifted):
        return []
    percent = rollout.steps[done]
    asked = TrafficRequested(
        model=rollout.model, run=rollout.candidate.run, rollout=rollout.number, step=done + 1, percent=percent
    )
    data: dict[str, Any] = {"percent": percent, "reasons": last.data["verdict"]["reasons"]}
    key = rollout_key(rollout.model, rollout.number, f"steps/{done + 1:06d}")
    return list(step.ledger.once(key, lambda: Outcome(data, (asked,))).events)


def _paused(rollout: Rollout, last: Record) -> str:
    """People are told of a pause once per step of the traffic and kind."""
    name = f"paused/{int(last.data['step']):06d}-{last.data['verdict']['kind']}"
    return rollout_key(rollout.model, rollout.number, name)


def _notice(last: Record, rollout: Rollout, rules: EvidenceRules) -> Outcome:
    kind, reasons = last.data["verdict"]["kind"], tuple(last.data["verdict"]["reasons"])
    title, wanted = _PAUSES[kind]
    limit = f"{wanted}; without it the rollout ends inconclusive after {rules.time_limit_seconds:g} s"
    notice = Notification(
        model=rollout.model,
        run=rollout.candidate.run,
        severity="warning",
        title=f"{rollout.model}: {title}",
        why=reasons,
        next=limit,
    )
    return Outcome({"pause": kind, "interval": last.key.rsplit("/", 1)[-1], "reasons": list(reasons)}, (notice,))
