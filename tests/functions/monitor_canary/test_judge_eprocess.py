"""The bets equal a reference made of scipy, and cannot be expected to win against a true hypothesis."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from eprocess import (
    LEARNT_UNITS,
    ODDS_RATIOS,
    Arms,
    Rate,
    harm_bets,
    log_capital,
    log_factors,
    nearest_null,
    prior,
    safety_bets,
)
from judge_state import TestState as JudgedTest
from scipy.optimize import brentq
from scipy.special import expit, logit, logsumexp, xlogy
from scipy.stats import binom

Table = np.ndarray[Any, np.dtype[np.float64]]
SPLITS = ((1, 1), (1, 12), (4, 9), (10, 3))
RATES = np.linspace(0.0, 1.0, 21)
PRODUCTION = (1e-6, 0.001, 0.1, 0.5, 0.97)


def reference_log_factor(arms: Arms, q: float, p: float, margin: float) -> float:
    """ln e of one bet, from the definition: the nearest pair is where the derivative of the distance is 0."""

    def slope(m: float) -> float:
        u = m + margin
        return float(arms.canary_units * (u - q) / (u * (1 - u)) + arms.production_units * (m - p) / (m * (1 - m)))

    low, high = min(p, max(q - margin, 1e-15)), max(p, q - margin)
    m = p if q - margin == p else brentq(slope, low, min(high, 1 - margin - 1e-15), xtol=1e-300, rtol=1e-14)
    u, x, y = m + margin, arms.canary_bad, arms.production_bad
    return float(
        xlogy(x, q / u) + xlogy(arms.canary_units - x, (1 - q) / (1 - u))
        + xlogy(y, p / m) + xlogy(arms.production_units - y, (1 - p) / (1 - m))
    )  # fmt: skip


def reference(stream: Sequence[Arms], history: float, margin: float) -> tuple[float, float]:
    """The logarithms of the evidence of harm and of safety after a stream."""
    bad, units = 5000 * history + 0.5, 5001.0
    harm, safety = np.zeros(len(ODDS_RATIOS)), np.zeros(4)
    for arms in stream:
        p = bad / units
        worse = expit(logit(p) + np.log(ODDS_RATIOS))
        harm += [reference_log_factor(arms, q, p, 0.0) for q in worse]
        safety += [reference_log_factor(arms, q, p, margin) for q in (0.8 * p, p, p + margin / 4, p + margin / 2)]
        bad, units = 0.97 * bad + arms.production_bad, 0.97 * units + arms.production_units
    return float(logsumexp(harm) - math.log(len(harm))), float(logsumexp(safety) - math.log(4))


@pytest.mark.parametrize(
    ("production", "canary", "margin", "share"),
    [(0.1, 0.1, 0.02, 0.05), (0.1, 0.2, 0.02, 0.25), (0.001, 0.01, 0.005, 0.05), (0.3, 0.25, 0.19, 0.5)],
)
def test_the_evidence_equals_scipys(production: float, canary: float, margin: float, share: float) -> None:
    chance = np.random.default_rng(11)
    stream = []
    for _ in range(60):
        n, k = chance.poisson(1200 * share), chance.poisson(1200 * (1 - share))
        stream.append(Arms(int(chance.binomial(n, canary)), int(n), int(chance.binomial(k, production)), int(k)))
    start = prior(production)
    state = JudgedTest(bad_before=start.bad, units_before=start.units)
    for arms in stream:
        state = state.after(arms, margin)
    harm, safety = reference(stream, production, margin)
    assert state.log_harm == pytest.approx(harm, rel=1e-9, abs=1e-9)
    assert state.log_safety == pytest.approx(safety, rel=1e-9, abs=1e-9)


def expectation(split: tuple[int, int], factor: Table | list[list[float]], canary: float, production: float) -> float:
    n, k = split
    return float(chances(n, canary) @ np.exp(factor) @ chances(k, production))


@cache
def chances(units: int, rate: float) -> Table:
    """Of 0, 1, … bad events."""
    return np.array(binom.pmf(range(units + 1), units, rate))


def every_factor(split: tuple[int, int], bets: Sequence[float], production: float, margin: float) -> list[Table]:
    """Per bet a table [bad in the canary, bad in production] of logarithms."""
    n, k = split
    table = [[log_factors(Arms(x, n, y, k), bets, production, margin) for y in range(k + 1)] for x in range(n + 1)]
    return list(np.moveaxis(np.array(table), 2, 0))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("production", PRODUCTION)
def test_evidence_of_harm_is_not_expected_from_a_canary_that_is_not_worse(
    split: tuple[int, int], production: float
) -> None:
    largest = max(
        expectation(split, factor, canary, rate)
        for factor in every_factor(split, harm_bets(production), production, 0.0)
        for rate in RATES
        for canary in (0.0, rate / 2, rate)
    )
    assert largest <= 1.0 + 1e-9


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("production", PRODUCTION)
@pytest.mark.parametrize("margin", [0.005, 0.2])
def test_evidence_of_safety_is_not_expected_from_a_canary_that_is_worse_by_the_margin(
    split: tuple[int, int], production: float, margin: float
) -> None:
    largest = max(
        expectation(split, factor, canary, rate)
        for factor in every_factor(split, safety_bets(production, margin), production, margin)
        for rate in RATES[margin + RATES <= 1.0]
        for canary in [rate + margin, (1.0 + rate + margin) / 2, 1.0]
    )
    assert largest <= 1.0 + 1e-9


def test_the_check_of_expectations_notices_a_null_that_is_not_the_nearest() -> None:
    split, production, bet = (4, 9), 0.1, 0.3
    nearest = nearest_null(Arms(0, 4, 0, 9), bet, production, 0.0)

    def against(null: float) -> float:
        factor = [
            [
                x * math.log(bet / null) + (4 - x) * math.log((1 - bet) / (1 - null))
                + y * math.log(production / null) + (9 - y) * math.log((1 - production) / (1 - null))
                for y in range(10)
            ]
            for x in range(5)
        ]  # fmt: skip
        return max(expectation(split, factor, rate, rate) for rate in RATES)

    assert against(nearest) <= 1.0 + 1e-9
    assert against(production) > 1.05
    assert against(nearest * 1.1) > 1.01


def test_an_empty_arm_is_no_evidence() -> None:
    assert log_factors(Arms(0, 0, 5, 50), (0.3, 0.5), 0.1, 0.0) == (0.0, 0.0)
    assert log_factors(Arms(5, 50, 0, 0), (0.05, 0.1), 0.1, 0.02) == (0.0, 0.0)


def test_production_is_learnt_after_it_was_bet_on_and_an_interval_without_it_teaches_nothing() -> None:
    assert Rate(1.0, 100.0).after(Arms(9, 9, 2, 50)) == Rate(0.97 + 2, 97.0 + 50)
    assert Rate(1.0, 100.0).after(Arms(9, 9, 0, 0)) == Rate(1.0, 100.0)


def test_without_history_nothing_is_bet_before_production_was_seen() -> None:
    unknown = prior(None)
    assert not unknown.known
    fresh = JudgedTest(bad_before=unknown.bad, units_before=unknown.units)
    first = fresh.after(Arms(10, 10, 0, 100), 0.05)
    assert (first.log_harm, first.log_safety, first.canary_units) == (0.0, 0.0, 10)
    assert first.units_before >= LEARNT_UNITS
    assert first.after(Arms(10, 10, 0, 100), 0.05).log_harm > math.log(400)


def test_capital_is_the_mean_of_the_bets_even_where_their_exponentials_are_no_numbers() -> None:
    assert log_capital((0.0, 0.0)) == 0.0
    assert log_capital((math.log(3.0), math.log(1.0))) == pytest.approx(math.log(2.0))
    assert log_capital((5000.0, -5000.0)) == pytest.approx(5000.0 - math.log(2))


def test_rates_at_the_ends_can_be_bet_on() -> None:
    for production in (prior(0.0).value, prior(1.0).value, Rate(0.0, 1e9).value, Rate(1e9, 1e9).value):
        for bets, margin in ((harm_bets(production), 0.0), (safety_bets(production, 0.005), 0.005)):
            for arms in (Arms(0, 9, 0, 99), Arms(9, 9, 99, 99), Arms(9, 9, 0, 99), Arms(0, 9, 99, 99)):
                assert all(map(math.isfinite, log_factors(arms, bets, production, margin)))
