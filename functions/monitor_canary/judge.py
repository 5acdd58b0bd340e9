"""The judge of a canary: go on, roll back, or not enough evidence, from closed intervals alone.

    begin ─► advance(interval 1) ─► advance(interval 2) ─► …        decide(state) after each of them
                                                                      ├ roll_back    evidence of harm that matters
    wrong    labelled predictions that were wrong                     ├ silent         the canary does not show up
    errors   requests answered with an error, or not in time          ├ split_suspect  a pause: it gets another share
    slow50   answers beyond production's median, by a factor          ├ go_on          evidence against every such harm
    slow99   answers beyond production's p99, by a factor             ├ out_of_time    neither within the time limit
                                                                      ├ label_starved  a pause: only labels are missing
                                                                      └ not_enough     wait; what is missing is said

Whatever the number of looks: a canary that is in nothing worse is ever rolled back with a chance of at most
`false_rollback_percent`; one that is worse by a margin ever passes with a chance of at most `wrong_promotion_percent`.
That needs requests that are independent, routed at random, and labels that come for both arms alike.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from judge_reasons import e_value, harm_bound, numbers_of, safety_bound, seconds_since, told_harm, told_safety
from judge_state import (
    SAFETY_TESTS,
    TESTS,
    IntervalCounts,
    JudgeState,
    TestName,
    TestState,
    arms_in,
    margin_of,
    with_limits,
)

from shared.evidence import Counts
from shared.evidence_rules import EvidenceRules

Kind = Literal["go_on", "roll_back", "silent", "out_of_time", "label_starved", "split_suspect", "not_enough"]
_IDLE_LOG_CHANCE = math.log(1e-6)  # below this nobody calls it luck that no request went to the canary


@dataclass(frozen=True)
class Verdict:
    """What is to happen, why, and every number it rests on; `tests` are those that showed harm."""

    kind: Kind
    reasons: tuple[str, ...]
    numbers: dict[str, Any]
    tests: tuple[TestName, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "reasons": list(self.reasons), "tests": list(self.tests), "numbers": self.numbers}


def advance(state: JudgeState, interval: IntervalCounts, rules: EvidenceRules, percent: int) -> JudgeState:
    """The state after a closed interval in which the canary had this share of the traffic (0 while it is dark).

    Raises ValueError for an interval that was judged before.
    """
    if state.last is not None and interval.number <= state.last:
        raise ValueError(f"interval {interval.number} comes after {state.last}, which was judged")
    stepped = _stepped(state, interval, percent)
    if percent > 0:
        stepped = _seen(stepped, interval, percent)
    judged = stepped.model_copy(update={"tests": _tests(stepped, interval, rules)})
    if judged.limits is not None:
        return judged
    known = Counts(latency=judged.learning) + interval.production
    return with_limits(judged, known.latency, rules)


def decide(state: JudgeState, rules: EvidenceRules) -> Verdict:
    """The verdict on the intervals in the state: a pure function of them and of the rules."""
    harmful = tuple(name for name in TESTS if _harmful(name, state, rules))
    silent = _silence(state, rules)
    missing = _missing(state, rules)
    numbers = numbers_of(state, rules)
    if harmful:
        return Verdict("roll_back", tuple(told_harm(name, state, rules) for name in harmful), numbers, harmful)
    if silent:
        return Verdict("silent", silent, numbers)
    suspect = _suspect(state, rules)
    if not missing and not suspect:
        return Verdict("go_on", tuple(told_safety(name, state, rules) for name in SAFETY_TESTS), numbers)
    if seconds_since(state.first, state, rules) >= rules.time_limit_seconds:
        limit = f"no verdict within {rules.time_limit_seconds:g} s"
        return Verdict("out_of_time", (limit, *suspect, *missing), numbers)
    if suspect:
        return Verdict("split_suspect", (*suspect, *missing), numbers)
    return Verdict("label_starved" if _starved(state, rules) else "not_enough", missing, numbers)


def _stepped(state: JudgeState, interval: IntervalCounts, percent: int) -> JudgeState:
    """The state with the interval's place in time; another share of the traffic begins another step."""
    update: dict[str, Any] = {"last": interval.number, "percent": percent}
    if percent > 0 and state.first is None:
        update["first"] = interval.number
    if percent != state.percent:
        step = {"step_first": interval.number, "step_requests": 0, "split_canary": 0, "split_production": 0}
        update |= {**step, "split_before": state.log_split, **_NOT_SILENT}
    return state.model_copy(update=update)


_NOT_SILENT: dict[str, Any] = {"unseen_intervals": 0, "idle_intervals": 0, "idle_log_chance": 0.0}


def _seen(state: JudgeState, interval: IntervalCounts, percent: int) -> JudgeState:
    canary, production = interval.canary, interval.production
    update: dict[str, Any] = {
        "step_requests": state.step_requests + canary.requests,
        "canary_requests": state.canary_requests + canary.requests,
        "production_requests": state.production_requests + production.requests,
        "canary_late": state.canary_late + canary.late,
        "production_late": state.production_late + production.late,
        "canary_late_labels": state.canary_late_labels + interval.canary_late_labels,
        "production_late_labels": state.production_late_labels + interval.production_late_labels,
    }
    if canary.reports and production.reports:
        update["split_canary"] = state.split_canary + canary.requests
        update["split_production"] = state.split_production + production.requests
    if canary.requests or canary.labelled:
        update["unlabelled_intervals"] = 0 if canary.labelled else state.unlabelled_intervals + 1
    if canary.requests:
        update |= _NOT_SILENT
    elif production.requests:
        share = min(percent, 99) / 100
        update["unseen_intervals"] = 0 if canary.reports else state.unseen_intervals + 1
        update["idle_intervals"] = state.idle_intervals + 1
        update["idle_log_chance"] = state.idle_log_chance + production.requests * math.log1p(-share)
    return state.model_copy(update=update)


def _tests(state: JudgeState, interval: IntervalCounts, rules: EvidenceRules) -> dict[TestName, TestState]:
    dark = IntervalCounts(interval.number, Counts(), interval.production)
    seen = interval if state.percent else dark
    return {
        name: test.after(arms_in(name, seen, state.limits), margin_of(name, state, rules))
        for name, test in _named(state)
    }


def _named(state: JudgeState) -> list[tuple[TestName, TestState]]:
    return [(name, state.tests[name]) for name in TESTS]


def _harmful(name: TestName, state: JudgeState, rules: EvidenceRules) -> bool:
    test = state.tests[name]
    significant = test.log_harm >= math.log(harm_bound(rules))
    material = test.estimate is not None and test.estimate > margin_of(name, state, rules)
    return significant and material


def _safe(name: TestName, state: JudgeState, rules: EvidenceRules) -> bool:
    return state.tests[name].log_safety >= math.log(safety_bound(rules))


def _silence(state: JudgeState, rules: EvidenceRules) -> tuple[str, ...]:
    if state.unseen_intervals >= rules.silent_intervals:
        return (f"no report of the canary for {state.unseen_intervals} intervals, while production had traffic",)
    if state.idle_intervals >= rules.silent_intervals and state.idle_log_chance <= _IDLE_LOG_CHANCE:
        return (
            f"no request was answered by the canary for {state.idle_intervals} intervals, while production had many",
        )
    return ()


def _suspect(state: JudgeState, rules: EvidenceRules) -> tuple[str, ...]:
    if state.log_split < -math.log(rules.false_split_alarm):
        return ()
    found = 100 * state.split_canary / max(state.split_canary + state.split_production, 1)
    return (
        f"split: {found:.1f} % of this step's requests came to the canary where {state.percent} % were ordered; "
        f"e-value {e_value(state.log_split):.3g} of {1 / rules.false_split_alarm:g}",
    )


def _starved(state: JudgeState, rules: EvidenceRules) -> bool:
    """Whether labels have stopped to come, or never came, and nothing else is missing."""
    if not rules.labels_required or state.unlabelled_intervals < rules.label_starved_intervals:
        return False
    unlabelled = rules.model_copy(update={"labels_required": False, "minimum_labels": 0})
    return not _missing(state, unlabelled)


def _missing(state: JudgeState, rules: EvidenceRules) -> tuple[str, ...]:
    """Everything that a step still waits for."""
    if state.percent == 0:
        return ("the canary has no traffic yet",)
    seconds = seconds_since(state.step_first, state, rules)
    labels = state.tests["wrong"].canary_units
    conditions = (
        (seconds >= rules.minimum_seconds, f"{seconds:g} of {rules.minimum_seconds:g} s at {state.percent} %"),
        (
            state.step_requests >= rules.minimum_requests,
            f"{state.step_requests} of {rules.minimum_requests} requests at {state.percent} %",
        ),
        (labels >= rules.minimum_labels, f"{labels} of {rules.minimum_labels} labels"),
        (
            _timely(state, rules),
            f"too many late reports: more than {rules.late_share_percent:g} % of an arm's requests or labels",
        ),
        *((_safe(name, state, rules), told_safety(name, state, rules)) for name in _required(rules)),
    )
    return tuple(reason for met, reason in conditions if not met)


def _required(rules: EvidenceRules) -> tuple[TestName, ...]:
    return tuple(name for name in SAFETY_TESTS if name != "wrong" or rules.labels_required)


def _timely(state: JudgeState, rules: EvidenceRules) -> bool:
    wrong = state.tests["wrong"]
    arms = (
        (state.canary_late, state.canary_requests),
        (state.production_late, state.production_requests),
        (state.canary_late_labels, wrong.canary_units),
        (state.production_late_labels, wrong.production_units),
    )
    return all(100 * late <= rules.late_share_percent * (late + counted) for late, counted in arms)
