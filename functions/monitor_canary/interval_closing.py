"""Intervals of evidence, closed in order: a verdict rests on what their records list and on nothing else.

    reports/<i>/<arm>/<reporter> …  ─ grace over ─►  intervals/<i> = {reports, late, sums, state of the judge, verdict}

A report that comes later is kept, told to the next interval that closes, and never counted. Intervals in which the
traffic was being changed are left out. Each record holds all that the next one needs: closing one costs the same after
an hour and after a day.
"""

from typing import Any

from bake_watch import BakeState, advance_bake, begin_bake, decide_bake
from interval_evidence import gather
from interval_records import FINAL, WAITING, interval_key, last_closed, number_of
from judge import Verdict, advance, decide
from judge_state import JudgeState, begin
from labels_seen import LabelsSeen
from rollout_rules import interval_of
from traffic_shares import Share, Shares, shares_of
from verdict_consequences import follow, said_at_once

from shared.envelope import Envelope
from shared.evidence_rules import EvidenceRules
from shared.ids import ModelName
from shared.ledger import Outcome, Record, rollout_key
from shared.rollouts import ALL, Rollout, load
from shared.step import Step

_MOST_AT_ONCE = 20  # a handler answers within seconds; the next delivery goes on


def due_now(model: ModelName, number: int, opened: Record, rules: EvidenceRules, step: Step) -> list[Envelope]:
    """What follows from intervals that are due: usually nothing, which a read or two tell."""
    first, due = interval_of(opened.at, rules), _due(rules, step)
    last = last_closed(step.ledger, model, number, first, due)
    behind = due - first if last is None else due - 1 - number_of(last)
    if behind <= 0 and (last is None or last.data["verdict"]["kind"] in WAITING):
        return []
    return close_due(load(step.ledger, model, number), rules, step, last)


def close_due(rollout: Rollout, rules: EvidenceRules, step: Step, last: Record | None = None) -> list[Envelope]:
    """Closes every interval whose grace is over and answers what follows from the last verdict."""
    if rollout.end is not None or rollout.decision is not None:
        return []
    first, due = interval_of(rollout.opened.at, rules), _due(rules, step)
    last = last or last_closed(step.ledger, rollout.model, rollout.number, first, due)
    shares = shares_of(rollout, rules)
    number = first if last is None else number_of(last) + 1
    for each in range(number, min(due, number + _MOST_AT_ONCE)):
        if last is not None and last.data["verdict"]["kind"] in FINAL:
            break
        last = _close(each, last, rollout, shares, rules, step)
    return follow(last, rollout, rules, step) if last is not None else []


def caught_up(rollout: Rollout, rules: EvidenceRules, step: Step) -> bool:
    """Whether every interval whose grace is over has been closed: what was reported in time has been judged."""
    first, due = interval_of(rollout.opened.at, rules), _due(rules, step)
    last = last_closed(step.ledger, rollout.model, rollout.number, first, due)
    return due <= first or (last is not None and number_of(last) + 1 >= due)


def _due(rules: EvidenceRules, step: Step) -> int:
    """The first interval whose grace is not over yet."""
    return interval_of(step.cloud.now(), rules) - rules.grace_intervals


def _close(
    number: int, before: Record | None, rollout: Rollout, shares: Shares, rules: EvidenceRules, step: Step
) -> Record:
    outcome = _judged(number, before, rollout, shares, rules, step)
    return step.ledger.record(interval_key(rollout.model, rollout.number, number), outcome)


def _judged(
    number: int, before: Record | None, rollout: Rollout, shares: Shares, rules: EvidenceRules, step: Step
) -> Outcome:
    seen = LabelsSeen(before.data["seen"] if before else _seen_before(rollout, step))
    gathered = gather(number, rollout, seen, step)
    share, left_out = shares.at(number), shares.changing(number)
    state = JudgeState.model_validate(before.data["state"]) if before else begin(rules)
    bake = BakeState.model_validate(before.data["bake"]) if before and before.data["bake"] else None
    if share is not None and share.percent == ALL:
        bake = bake or begin_bake(state, rules)
        bake = bake if left_out else advance_bake(bake, gathered.counts)
    elif not left_out:
        state = advance(state, gathered.counts, rules, share.percent if share else 0)
    verdict = decide_bake(bake, rules) if bake else decide(state, rules)
    data = {
        "reports": list(gathered.reports),
        "late": list(gathered.late),
        "canary": gathered.counts.canary.to_json(),
        "production": gathered.counts.production.to_json(),
        "late_labels": [gathered.counts.canary_late_labels, gathered.counts.production_late_labels],
        "left_out": left_out,
        **_step_of(share),
        "state": state.model_dump(mode="json"),
        "bake": bake.model_dump(mode="json") if bake else None,
        "seen": seen.to_json(),
        "verdict": verdict.to_json(),
    }
    return Outcome(data, said_at_once(verdict, rollout, _labels(verdict)))


def _step_of(share: Share | None) -> dict[str, Any]:
    return {"step": share.step if share else 0, "percent": share.percent if share else 0}


def _labels(verdict: Verdict) -> dict[str, int]:
    """The labels of the canary, where a reader of the event looks for them first."""
    wrong = verdict.numbers["tests"].get("wrong")
    return {"canary_wrong": wrong["canary"]["bad"], "canary_labelled": wrong["canary"]["of"]} if wrong else {}


def _seen_before(rollout: Rollout, step: Step) -> dict[str, Any]:
    """The receipts of the base that earlier rollouts have counted: a label that comes again counts for nobody."""
    if rollout.base is None:
        return {}
    for number in range(rollout.number - 1, 0, -1):
        closed = step.ledger.entries(rollout_key(rollout.model, number, "intervals/"))
        if closed:
            seen = step.ledger.require(closed[-1].key).data["seen"]
            return {name: kept for name, kept in seen.items() if name == rollout.base.id}
        if number < int(rollout.base.id):
            break
    return {}
