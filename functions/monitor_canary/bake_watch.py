"""The candidate while it bakes at 100 %: judged against production's record, for there is no concurrent control now.

What is the same for both arms no longer cancels out: an incident, another mix of requests. So the hypothesis is the
strict one, that the candidate's rate is not above the recorded rate *plus the margin*, and only evidence against that
is harm; at all of the traffic it is there soon enough.

A bake lasts long, and what goes bad does so at some time in it. So the capital is not bet at once: in the t-th interval
1/(t(t+1)) of it joins what is at stake, the rest is kept. Going bad after hours of being good then costs that stake's
logarithm, not all that was lost on the good hours; and the whole is still a fair bet (Ville's bound holds). Pure.
"""

import math
from collections.abc import Mapping

from eprocess import ODDS_RATIOS, fixed_null_factors, inside, log_capital
from judge import Verdict
from judge_reasons import e_value, harm_bound
from judge_state import TESTS, IntervalCounts, JudgeState, Kept, Limits, TestName, arms_in, margin_of

from shared.evidence_rules import EvidenceRules

_LEAST_UNITS = 100  # of production, below which its record says too little to be held against anybody


_NOTHING = -1e9  # the logarithm of no capital, for all that comes of it a number


class BakeTest(Kept):
    """One kind of bad event: the rate that the candidate may have, and the evidence that it is higher."""

    recorded: float
    """Production's rate while both arms were compared."""
    margin: float
    harm: tuple[float, ...] = (_NOTHING,) * len(ODDS_RATIOS)
    """The logarithms of what is at stake, bet by bet."""
    intervals: int = 0
    bad: int = 0
    units: int = 0
    since: int | None = None
    """The interval from which on the evidence has been gathering, and what was counted since."""
    bad_since: int = 0
    units_since: int = 0

    @property
    def log_harm(self) -> float:
        """The logarithm of what is at stake together with what is kept."""
        return _log_sum(log_capital(self.harm), -math.log(self.intervals + 1))

    @property
    def null(self) -> float:
        return inside(self.recorded + self.margin)

    def after(self, number: int, bad: int, units: int) -> "BakeTest":
        """The test after an interval; one without events changes nothing."""
        if units == 0:
            return self
        place = self.intervals + 1
        stake = -math.log(place * (place + 1))
        factors = fixed_null_factors(bad, units, self.null)
        afresh = max(self.harm) < stake
        return self.model_copy(
            update={
                "harm": tuple(factor + _log_sum(one, stake) for factor, one in zip(factors, self.harm, strict=True)),
                "intervals": place,
                "bad": self.bad + bad,
                "units": self.units + units,
                "since": number if afresh else self.since,
                "bad_since": bad if afresh else self.bad_since + bad,
                "units_since": units if afresh else self.units_since + units,
            }
        )


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
    tests = {
        name: test.after(interval.number, arms[name].canary_bad, arms[name].canary_units)
        for name, test in state.tests.items()
    }
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
        "lately": {"since": test.since, "bad": test.bad_since, "of": test.units_since},
        "harm": {"e_value": e_value(test.log_harm), "bound": harm_bound(rules)},
    }


def _told(name: TestName, test: BakeTest, rules: EvidenceRules) -> str:
    share = 100 * test.bad_since / test.units_since
    return (
        f"{name}: {share:.1f} % of the last {test.units_since} during the bake, where "
        f"production's record is {100 * test.recorded:.1f} % and {100 * test.margin:.1f} points more matter; "
        f"e-value {e_value(test.log_harm):.3g} of {harm_bound(rules):g}"
    )


def _log_sum(one: float, other: float) -> float:
    """The logarithm of the sum of two numbers whose logarithms are given."""
    return max(one, other) + math.log1p(math.exp(-abs(one - other)))
