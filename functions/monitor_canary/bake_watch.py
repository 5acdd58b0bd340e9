"""The candidate while it bakes at 100 %: judged against production's record, for there is no concurrent control now.

What is the same for both arms no longer cancels out: an incident, another mix of requests. So the hypothesis is the
strict one, that the candidate's rate is not above the recorded rate *plus the margin*, and only evidence against that
is harm; at all of the traffic it is there soon enough. Pure, like the judge.
"""

import math
from collections.abc import Mapping

from eprocess import ODDS_RATIOS, fixed_null_factors, inside, log_capital
from judge import Verdict
from judge_reasons import e_value, harm_bound
from judge_state import TESTS, IntervalCounts, JudgeState, Kept, Limits, TestName, arms_in, margin_of

from shared.evidence_rules import EvidenceRules

_LEAST_UNITS = 100  # of production, below which its record says too little to be held against anybody


class BakeTest(Kept):
    """One kind of bad event: the rate that the candidate may have, and the evidence that it is higher."""

    recorded: float
    """Production's rate while both arms were compared."""
    margin: float
    harm: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    bad: int = 0
    units: int = 0

    @property
    def log_harm(self) -> float:
        return log_capital(self.harm)

    @property
    def null(self) -> float:
        return inside(self.recorded + self.margin)

    def after(self, bad: int, units: int) -> "BakeTest":
        factors = fixed_null_factors(bad, units, self.null)
        harm = tuple(one + other for one, other in zip(self.harm, factors, strict=True))
        return self.model_copy(update={"harm": harm, "bad": self.bad + bad, "units": self.units + units})


class BakeState(Kept):
    """Everything of the bake's intervals on which its verdict depends; tests without a record are not made."""

    tests: Mapping[TestName, BakeTest]
    limits: Limits | None
    first: int | None = None
    last: int | None = None


def begin_bake(state: JudgeState, rules: EvidenceRules) -> BakeState:
    """The state before the first interval at 100 %: production's record of the comparison, fixed."""
    known = {name: state.tests[name] for name in TESTS if state.tests[name].production_units >= _LEAST_UNITS}
    tests = {
        name: BakeTest(recorded=test.production_bad / test.production_units, margin=margin_of(name, state, rules))
        for name, test in known.items()
    }
    return BakeState(tests=tests, limits=state.limits)


def advance_bake(state: BakeState, interval: IntervalCounts) -> BakeState:
    """The state after a closed interval in which the candidate had all of the traffic."""
    arms = {name: arms_in(name, interval, state.limits) for name in state.tests}
    tests = {name: test.after(arms[name].canary_bad, arms[name].canary_units) for name, test in state.tests.items()}
    first = interval.number if state.first is None else state.first
    return state.model_copy(update={"tests": tests, "first": first, "last": interval.number})


def decide_bake(state: BakeState, rules: EvidenceRules) -> Verdict:
    """Roll back on evidence of harm beyond the margin; otherwise the bake goes on."""
    harmful = tuple(name for name, test in state.tests.items() if test.log_harm >= math.log(harm_bound(rules)))
    numbers = {
        "interval": state.last,
        "percent": 100,
        "against": "production's record at promotion: there is no concurrent control",
        "tests": {name: _numbers(test, rules) for name, test in state.tests.items()},
    }
    if harmful:
        return Verdict("roll_back", tuple(_told(name, state.tests[name], rules) for name in harmful), numbers, harmful)
    return Verdict("not_enough", ("the bake goes on: no evidence against the candidate",), numbers)


def _numbers(test: BakeTest, rules: EvidenceRules) -> dict[str, object]:
    return {
        "canary": {"bad": test.bad, "of": test.units},
        "recorded_percent": round(100 * test.recorded, 4),
        "difference_points": round(100 * (test.bad / test.units - test.recorded), 4) if test.units else None,
        "margin_points": round(100 * test.margin, 4),
        "harm": {"e_value": e_value(test.log_harm), "bound": harm_bound(rules)},
    }


def _told(name: TestName, test: BakeTest, rules: EvidenceRules) -> str:
    return (
        f"{name}: {100 * test.bad / test.units:.1f} % of {test.units} during the bake, where production's record is "
        f"{100 * test.recorded:.1f} % and {100 * test.margin:.1f} points more matter; "
        f"e-value {e_value(test.log_harm):.3g} of {harm_bound(rules):g}"
    )
