"""What the judge remembers of a rollout: a value small enough to be kept beside every interval, from which it goes on.

Folding the intervals one by one from the start, or from any kept state, gives the same state to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never, get_args

from eprocess import ODDS_RATIOS, Arms, Rate, harm_bets, log_capital, log_factors, prior, safety_bets
from pydantic import BaseModel, ConfigDict
from split_check import log_evidence

from shared.evidence import Counts, Histogram, above, limit_seconds, quantile, rounded_up
from shared.evidence_rules import EvidenceRules

TestName = Literal["wrong", "errors", "slow50", "slow99"]
TESTS: tuple[TestName, ...] = get_args(TestName)
SAFETY_TESTS: tuple[TestName, ...] = ("wrong", "errors", "slow99")
_SAFETY_BETS = 4
_HALF = 0.5
_LEAST_SHARE_OF_MARGIN = 0.25  # left of a margin on slowness when production itself is that slow already


class Kept(BaseModel):
    """What stands in an interval's record and is read back from it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class History:
    """How production did before the rollout: its rates of wrong labels and of errors, and its latencies."""

    wrong: float | None = None
    errors: float | None = None
    latency: Histogram = field(default_factory=dict)


@dataclass(frozen=True)
class IntervalCounts:
    """One closed interval: what either arm saw in the same stretch of time."""

    number: int
    canary: Counts
    production: Counts
    canary_late_labels: int = 0
    production_late_labels: int = 0


class Limit(Kept):
    """What is slow, fixed before it is asked: from a bucket on, and the rise of that share which matters."""

    first_bucket: int
    margin: float

    @property
    def seconds(self) -> float:
        return limit_seconds(self.first_bucket)


class Limits(Kept):
    """What is slow against production's median, and against its slowest hundredth."""

    slow50: Limit
    slow99: Limit


class TestState(Kept):
    """One kind of bad event: all counts so far, and the capital of every bet, as logarithms.

    `excess` / `weight` is the Mantel-Haenszel difference of the two rates (Greenland and Robins 1985): the intervals'
    differences, each weighted by how much it can tell, so that a drift of both arms while shares change makes none.
    """

    bad_before: float
    units_before: float
    harm: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    safety: tuple[float, ...] = (0.0,) * _SAFETY_BETS
    canary_bad: int = 0
    canary_units: int = 0
    production_bad: int = 0
    production_units: int = 0
    excess: float = 0.0
    weight: float = 0.0

    @property
    def estimate(self) -> float | None:
        """By how much the canary's rate is higher; None while no interval held both arms."""
        return self.excess / self.weight if self.weight else None

    @property
    def log_harm(self) -> float:
        """The logarithm of the evidence that the canary is worse."""
        return log_capital(self.harm)

    @property
    def log_safety(self) -> float:
        """The logarithm of the evidence that the canary is not worse by the margin."""
        return log_capital(self.safety)

    def after(self, arms: Arms, margin: float) -> "TestState":
        """The state after one more interval; bets are made on what was known before it."""
        rate = Rate(self.bad_before, self.units_before)
        known = rate.after(arms)
        learnt = {"bad_before": known.bad, "units_before": known.units}
        if arms.canary_units == 0 or arms.production_units == 0:
            return self.model_copy(update=learnt)
        weight = arms.canary_units * arms.production_units / (arms.canary_units + arms.production_units)
        difference = arms.canary_bad / arms.canary_units - arms.production_bad / arms.production_units
        return self.model_copy(
            update={
                **learnt,
                **(self._bet(arms, rate.value, margin) if rate.known else {}),
                "canary_bad": self.canary_bad + arms.canary_bad,
                "canary_units": self.canary_units + arms.canary_units,
                "production_bad": self.production_bad + arms.production_bad,
                "production_units": self.production_units + arms.production_units,
                "excess": self.excess + weight * difference,
                "weight": self.weight + weight,
            }
        )

    def _bet(self, arms: Arms, production: float, margin: float) -> dict[str, tuple[float, ...]]:
        harm = log_factors(arms, harm_bets(production), production, 0.0)
        safety = log_factors(arms, safety_bets(production, margin), production, margin)
        return {"harm": _added(self.harm, harm), "safety": _added(self.safety, safety)}


class JudgeState(Kept):
    """Everything of a rollout's intervals 1…i on which a verdict depends."""

    tests: Mapping[TestName, TestState]
    limits: Limits | None = None
    learning: Mapping[str, int] = {}
    """Production's latencies until there are enough to fix the limits."""
    percent: int = 0
    first: int | None = None
    """The first interval in which the canary had a share of the traffic."""
    step_first: int | None = None
    last: int | None = None
    step_requests: int = 0
    canary_requests: int = 0
    production_requests: int = 0
    canary_late: int = 0
    production_late: int = 0
    canary_late_labels: int = 0
    production_late_labels: int = 0
    unlabelled_intervals: int = 0
    """In a row with requests to the canary and without a label of one."""
    split_before: float = 0.0
    """The logarithm of the evidence, from earlier steps, that the split is not the ordered one."""
    split_canary: int = 0
    """Requests of this step in intervals in which both arms reported."""
    split_production: int = 0
    unseen_intervals: int = 0
    """In a row without a report of the canary, though production had traffic."""
    idle_intervals: int = 0
    """In a row without a request to the canary, though production had traffic."""
    idle_log_chance: float = 0.0
    """The logarithm of the chance that this is luck."""

    @property
    def log_split(self) -> float:
        """The logarithm of the evidence that requests are not split as was ordered."""
        return self.split_before + log_evidence(self.split_canary, self.split_production, self.percent)


def begin(rules: EvidenceRules, history: History | None = None) -> JudgeState:
    """The state before the first interval. A wrong or missing history costs time, never the promised error rates."""
    known = history or History()
    tests = {
        "wrong": _unseen(prior(known.wrong)),
        "errors": _unseen(prior(known.errors)),
        "slow50": _unseen(prior(None)),
        "slow99": _unseen(prior(None)),
    }
    return with_limits(JudgeState.model_validate({"tests": tests}), known.latency, rules)


def with_limits(state: JudgeState, latency: Histogram, rules: EvidenceRules) -> JudgeState:
    """The state that has learnt production's latencies: once they are enough, what is slow is fixed for the rollout."""
    if sum(latency.values()) < rules.slow_history_answers:
        return state.model_copy(update={"learning": dict(latency)})
    limits = Limits(
        slow50=_limit(latency, 0.5, _HALF, rules),
        slow99=_limit(latency, 0.99, rules.slow_margin_points / 100, rules),
    )
    tests = {
        **state.tests,
        "slow50": _unseen(prior(_share(latency, limits.slow50.first_bucket))),
        "slow99": _unseen(prior(_share(latency, limits.slow99.first_bucket))),
    }
    return state.model_copy(update={"limits": limits, "learning": {}, "tests": tests})


def margin_of(name: TestName, state: JudgeState, rules: EvidenceRules) -> float:
    """The rise of a rate that matters; of slow answers it is known once the limits are."""
    match name:
        case "wrong":
            return rules.wrong_margin_points / 100
        case "errors":
            return rules.error_margin_points / 100
        case "slow50":
            return state.limits.slow50.margin if state.limits else _HALF
        case "slow99":
            return state.limits.slow99.margin if state.limits else rules.slow_margin_points / 100


def arms_in(name: TestName, interval: IntervalCounts, limits: Limits | None) -> Arms:
    """What a test counts, in both arms; nothing is slow before it is known what slow means."""
    canary, production = interval.canary, interval.production
    match name:
        case "wrong":
            return Arms(canary.wrong, canary.labelled, production.wrong, production.labelled)
        case "errors":
            return Arms(canary.errors, canary.requests, production.errors, production.requests)
        case "slow50" | "slow99":
            if limits is None:
                return Arms(0, 0, 0, 0)
            first = (limits.slow50 if name == "slow50" else limits.slow99).first_bucket
            slow = above(canary.latency, first), above(production.latency, first)
            return Arms(slow[0], canary.answers, slow[1], production.answers)
        case _:
            assert_never(name)


def _limit(latency: Histogram, share: float, allowed: float, rules: EvidenceRules) -> Limit:
    """Slow is beyond the factor times production's quantile; a canary has got slower by it once more than `allowed` is.

    Production's own share beyond the limit is below that already: what is left of `allowed` is the margin.
    """
    usual = quantile(latency, share) or 0.0
    first_bucket = rounded_up(max(rules.slow_factor * usual, rules.slow_floor_seconds))
    margin = max(allowed - _share(latency, first_bucket), _LEAST_SHARE_OF_MARGIN * allowed)
    return Limit(first_bucket=first_bucket, margin=margin)


def _share(latency: Histogram, first_bucket: int) -> float:
    return above(latency, first_bucket) / sum(latency.values())


def _unseen(rate: Rate) -> TestState:
    return TestState(bad_before=rate.bad, units_before=rate.units)


def _added(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(one + other for one, other in zip(first, second, strict=True))
