"""Intervals of evidence, closed in order: a verdict rests on what their records list and on nothing else.

    reports/<i>/<arm>/<reporter> …  ─ grace over ─►  intervals/<i> = {reports, sums, the judge's state, its verdict}

A report that comes later is kept and never counted. The interval in which the traffic changed is left out.
"""

from dataclasses import dataclass
from typing import Any

from judge import Verdict, advance, decide
from judge_state import IntervalCounts, JudgeState, begin

from shared.envelope import Envelope
from shared.events import EvidenceReported, RollbackRequested, TrafficRequested
from shared.evidence import Counts, counts_of, total
from shared.evidence_rules import EvidenceRules
from shared.ids import run_parts
from shared.ledger import Outcome, Record, rollout_key, window_key
from shared.receipts import Seen
from shared.rollouts import Rollout
from shared.settings import Settings
from shared.step import Step

_MOST_AT_ONCE = 20  # a handler answers within seconds; the next delivery goes on


@dataclass(frozen=True)
class _Share:
    """The candidate's share of the traffic from an interval on; that interval itself had both."""

    step: int
    percent: int
    changed: int


def close_due(rollout: Rollout, step: Step) -> list[Envelope]:
    """Closes every interval whose grace is over and answers what follows from the last verdict."""
    rules = _rules(rollout, step)
    shares = _shares(rollout, rules)
    closed = step.ledger.entries(_key(rollout, ""))
    last = step.ledger.require(closed[-1].key) if closed else None
    number = int(closed[-1].key.rsplit("/", 1)[-1]) + 1 if closed else shares[0].changed
    due = int(step.cloud.now().timestamp() // rules.report_seconds) - rules.grace_intervals
    for each in range(number, min(due, number + _MOST_AT_ONCE)):
        if last is not None and _is_followed_first(last, shares):
            break
        last = _close(each, last, rollout, shares, rules, step)
    return _follow(last, rollout, step) if last is not None else []


def _is_followed_first(last: Record, shares: list[_Share]) -> bool:
    """Whether nothing more is to be judged until what the last verdict asked for has happened."""
    kind = last.data["verdict"]["kind"]
    if kind == "go_on":
        return int(last.data["step"]) >= shares[-1].step
    return bool(kind != "not_enough")


def _close(
    number: int, before: Record | None, rollout: Rollout, shares: list[_Share], rules: EvidenceRules, step: Step
) -> Record:
    return step.ledger.once(
        _key(rollout, f"{number:012d}"), lambda: _judged(number, before, rollout, shares, rules, step)
    )


def _judged(
    number: int, before: Record | None, rollout: Rollout, shares: list[_Share], rules: EvidenceRules, step: Step
) -> Outcome:
    state = JudgeState.model_validate(before.data["state"]) if before else begin(rules)
    seen = Seen(before.data["seen"]) if before else Seen(_seen_before(rollout, step))
    reports = [entry.key for entry in step.ledger.entries(_reports(rollout, number))]
    canary, production = (_sum(arm, reports, seen, step) for arm in ("canary", "production"))
    share = next((each for each in reversed(shares) if each.changed < number), None)
    if share is not None and all(each.changed != number for each in shares):
        state = advance(state, IntervalCounts(number, canary, production), rules, share.percent)
    verdict = decide(state, rules)
    data = {
        "reports": reports,
        "canary": canary.to_json(),
        "production": production.to_json(),
        "step": share.step if share else 0,
        "percent": share.percent if share else 0,
        "state": state.model_dump(mode="json"),
        "seen": seen.ranges,
        "verdict": verdict.to_json(),
    }
    return Outcome(data, _events(verdict, state, rollout))


def _sum(arm: str, reports: list[str], seen: Seen, step: Step) -> Counts:
    mine = [key for key in reports if f"/{arm}/" in key]
    return total(_counts(EvidenceReported.model_validate(step.ledger.require(key).data), seen, step) for key in mine)


def _counts(report: EvidenceReported, seen: Seen, step: Step) -> Counts:
    """What a report counts; of a batch of labels, those whose receipts have not been counted before."""
    if report.outcomes is None:
        return counts_of(report)
    marks = step.ledger.require(report.outcomes).data["deployments"][report.deployed_model]
    new = [right for reporter, sequence, right in marks if seen.add(reporter, sequence)]
    return Counts(labelled=len(new), wrong=sum(not right for right in new))


def _events(verdict: Verdict, state: JudgeState, rollout: Rollout) -> tuple[RollbackRequested, ...]:
    if verdict.kind in ("not_enough", "go_on"):
        return ()
    wrong = state.tests["wrong"]
    numbers = {**verdict.numbers, "canary_wrong": wrong.canary_bad, "canary_labelled": wrong.canary_units}
    because = ("" if verdict.kind == "roll_back" else "inconclusive: ") + "; ".join(verdict.reasons)
    return (
        RollbackRequested(
            model=rollout.model,
            rollout=rollout.number,
            by="monitor_canary",
            because=because,
            set_aside="wrong" in verdict.tests,
            numbers=numbers,
        ),
    )


def _follow(last: Record, rollout: Rollout, step: Step) -> list[Envelope]:
    """The next step of the traffic, or the rollback, or nothing yet."""
    if last.data["verdict"]["kind"] != "go_on":
        return list(last.events)
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


def _shares(rollout: Rollout, rules: EvidenceRules) -> list[_Share]:
    return [
        _Share(
            int(record.key.rsplit("/", 1)[-1]),
            int(record.data["percent"]),
            int(record.at.timestamp() // rules.report_seconds),
        )
        for record in rollout.shifted
    ]


def _seen_before(rollout: Rollout, step: Step) -> dict[str, list[list[int]]]:
    """The receipts that the rollout before has counted: a label that comes again counts for nobody."""
    if rollout.number == 1:
        return {}
    closed = step.ledger.entries(rollout_key(rollout.model, rollout.number - 1, "intervals/"))
    return dict(step.ledger.require(closed[-1].key).data["seen"]) if closed else {}


def _rules(rollout: Rollout, step: Step) -> EvidenceRules:
    model, window = run_parts(rollout.candidate.run)
    return Settings.model_validate(step.ledger.require(window_key(model, window)).data["settings"]).evidence


def _key(rollout: Rollout, name: str) -> str:
    return rollout_key(rollout.model, rollout.number, f"intervals/{name}")


def _reports(rollout: Rollout, number: int) -> str:
    return rollout_key(rollout.model, rollout.number, f"reports/{number:012d}/")
