"""What a verdict of the judge says for itself: its bounds, its numbers, and the same in words."""

import math
from typing import Any

from judge_state import SAFETY_TESTS, TESTS, JudgeState, TestName, TestState, margin_of

from shared.evidence_rules import EvidenceRules

_MOST_LOG = 690.0  # what e to the power of it is still a number
_UNITS = {"wrong": "labels", "errors": "requests", "slow50": "answers", "slow99": "answers"}


def harm_bound(rules: EvidenceRules) -> float:
    """Each test may err with its part of the chance, so that together they keep the promise."""
    return len(TESTS) / (rules.false_rollback_percent / 100)


def safety_bound(rules: EvidenceRules) -> float:
    """A worse canary is passed only if the one test of what is worse errs: nothing to share out."""
    return 1 / (rules.wrong_promotion_percent / 100)


def seconds_since(first: int | None, state: JudgeState, rules: EvidenceRules) -> float:
    return 0.0 if first is None or state.last is None else (state.last - first + 1) * rules.report_seconds


def told_harm(name: TestName, state: JudgeState, rules: EvidenceRules) -> str:
    test = state.tests[name]
    return (
        f"{_compared(name, test)}, {100 * (test.estimate or 0.0):.1f} points more where "
        f"{100 * margin_of(name, state, rules):.1f} matter; "
        f"e-value {e_value(test.log_harm):.3g} of {harm_bound(rules):g}"
    )


def told_safety(name: TestName, state: JudgeState, rules: EvidenceRules) -> str:
    if name in ("slow50", "slow99") and state.limits is None:
        answers = f"{sum(state.learning.values())} of {rules.slow_history_answers}"
        return f"{name}: {answers} answers of production to compare with"
    test = state.tests[name]
    return (
        f"{_compared(name, test)}; evidence that it is not {100 * margin_of(name, state, rules):.1f} points more: "
        f"e-value {e_value(test.log_safety):.3g} of {safety_bound(rules):g}"
    )


def _compared(name: TestName, test: TestState) -> str:
    unit = _UNITS[name]
    if not test.canary_units:
        return f"{name}: no {unit} in both arms at once"
    production = 100 * test.production_bad / test.production_units
    return (
        f"{name}: {100 * test.canary_bad / test.canary_units:.1f} % of the canary's {test.canary_units} {unit}, "
        f"{production:.1f} % of production's {test.production_units}"
    )


def e_value(logarithm: float) -> float:
    """The e-value of a logarithm, cut off where it would be no number any more."""
    return math.exp(min(logarithm, _MOST_LOG))


def numbers_of(state: JudgeState, rules: EvidenceRules) -> dict[str, Any]:
    """Everything a verdict rests on, for records, events and people."""
    return {
        "interval": state.last,
        "percent": state.percent,
        "seconds": seconds_since(state.first, state, rules),
        "step": {"seconds": seconds_since(state.step_first, state, rules), "requests": state.step_requests},
        "requests": {"canary": state.canary_requests, "production": state.production_requests},
        "late": {"canary": state.canary_late, "production": state.production_late},
        "late_labels": {"canary": state.canary_late_labels, "production": state.production_late_labels},
        "unlabelled_intervals": state.unlabelled_intervals,
        "split": {"e_value": e_value(state.log_split), "bound": 1 / rules.false_split_alarm},
        "silent_intervals": {"unseen": state.unseen_intervals, "idle": state.idle_intervals},
        "slow_seconds": {name: limit.seconds for name, limit in state.limits} if state.limits else None,
        "tests": {name: _test_numbers(name, state, rules) for name in TESTS},
    }


def _test_numbers(name: TestName, state: JudgeState, rules: EvidenceRules) -> dict[str, Any]:
    test = state.tests[name]
    estimate = None if test.estimate is None else round(100 * test.estimate, 4)
    numbers = {
        "canary": {"bad": test.canary_bad, "of": test.canary_units},
        "production": {"bad": test.production_bad, "of": test.production_units},
        "difference_points": estimate,
        "margin_points": round(100 * margin_of(name, state, rules), 4),
        "harm": {"e_value": e_value(test.log_harm), "bound": harm_bound(rules)},
    }
    safety = {"e_value": e_value(test.log_safety), "bound": safety_bound(rules)}
    return {**numbers, "safety": safety} if name in SAFETY_TESTS else numbers
