"""The mathematics of the judge: two streams of good and bad events, compared for as long and as often as one likes.

An e-process is a bet against a hypothesis that cannot be expected to win if the hypothesis is true. Its capital may be
looked at after every interval: that it ever reaches 1/α has a chance of at most α (Ville). An interval multiplies it by

    e = q^x (1-q)^(n-x) · p^y (1-p)^(k-y)  /  u^x (1-u)^(n-x) · m^y (1-m)^(k-y),     u = m + margin

with x bad of n in the canary and y bad of k in production, (q, p) the rates bet on, fixed before the interval is seen,
and (u, m) the pair of rates in the hypothesis nearest to them by n·KL(q‖u) + k·KL(p‖m). Then E[e] ≤ 1 for every pair of
rates of the hypothesis, whatever n and k: see Turner, Ly and Grünwald, "Generic E-variables for exact sequential
k-sample tests that allow for optional stopping" (2024). The capital is the mean of several bets' products of factors.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

ODDS_RATIOS = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0, 100.0)
PRIOR_UNITS = 5000.0  # what a rate known from history weighs
MEMORY = 0.97  # of an interval's counts in the next one's rate
LEARNT_UNITS = 20.0  # production's events that must be known before anything is bet on its rate
_LEAST_RATE = 1e-6  # of a rate bet on; a limit on arithmetic, too low for a bet to notice
_HALVINGS = 50


class Arms(NamedTuple):
    """One interval: bad events of all events, in either arm."""

    canary_bad: int
    canary_units: int
    production_bad: int
    production_units: int


class Rate(NamedTuple):
    """Production's rate of bad events as known before an interval: bad / units, slowly forgetting."""

    bad: float
    units: float

    @property
    def known(self) -> bool:
        """Whether so little is not known that a bet would be a waste of capital."""
        return self.units >= LEARNT_UNITS

    @property
    def value(self) -> float:
        return inside(self.bad / self.units)

    def after(self, arms: Arms) -> "Rate":
        """The rate for the next interval; one without production events teaches nothing and forgets nothing."""
        if arms.production_units == 0:
            return self
        return Rate(MEMORY * self.bad + arms.production_bad, MEMORY * self.units + arms.production_units)


def prior(history: float | None) -> Rate:
    """The rate before the first interval; without history one that is not bet on until production was seen."""
    return Rate(0.5, 1.0) if history is None else Rate(PRIOR_UNITS * history + 0.5, PRIOR_UNITS + 1.0)


def harm_bets(production: float) -> tuple[float, ...]:
    """Canary rates bet on when the hypothesis is that its rate is not higher: production's odds, multiplied."""
    odds = production / (1.0 - production)
    return tuple(inside(odds * ratio / (1.0 + odds * ratio)) for ratio in ODDS_RATIOS)


def safety_bets(production: float, margin: float) -> tuple[float, ...]:
    """Canary rates bet on when the hypothesis is that the canary's rate is higher by at least the margin."""
    bets = (0.8 * production, production, production + margin / 4, production + margin / 2)
    return tuple(inside(bet) for bet in bets)


def log_factors(arms: Arms, bets: Sequence[float], production: float, margin: float) -> tuple[float, ...]:
    """The logarithms of the factors of an interval, one per bet on the canary's rate; 0 where an arm is empty."""
    if arms.canary_units == 0 or arms.production_units == 0:
        return (0.0,) * len(bets)
    return tuple(_log_factor(arms, bet, production, margin) for bet in bets)


def fixed_null_factors(bad: int, units: int, null: float) -> tuple[float, ...]:
    """The logarithms of the factors of an interval of one arm alone, against its rate being at most `null`."""
    return tuple(_log_ratio(bad, units, bet, null) for bet in harm_bets(null))


def log_capital(logarithms: Sequence[float]) -> float:
    """The logarithm of the mean of the bets' capitals."""
    most = max(logarithms)
    return most + math.log(math.fsum(math.exp(one - most) for one in logarithms) / len(logarithms))


def nearest_null(arms: Arms, canary: float, production: float, margin: float) -> float:
    """Production's rate m in the pair (m + margin, m) of the hypothesis nearest to the rates bet on."""
    if margin == 0.0:
        units = arms.canary_units + arms.production_units
        return (arms.canary_units * canary + arms.production_units * production) / units
    low, high = max(0.0, canary - margin), min(production, 1.0 - margin)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _slope(arms, canary, production, middle + margin, middle) < 0.0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _slope(arms: Arms, canary: float, production: float, u: float, m: float) -> float:
    """The derivative by m of the distance to the pair (u, m): it grows with m and is 0 at the nearest."""
    return arms.canary_units * (u - canary) / (u * (1.0 - u)) + arms.production_units * (m - production) / (
        m * (1.0 - m)
    )


def _log_factor(arms: Arms, canary: float, production: float, margin: float) -> float:
    null = nearest_null(arms, canary, production, margin)
    return _log_ratio(arms.canary_bad, arms.canary_units, canary, null + margin) + _log_ratio(
        arms.production_bad, arms.production_units, production, null
    )


def _log_ratio(bad: int, units: int, bet: float, null: float) -> float:
    return bad * math.log(bet / null) + (units - bad) * (math.log1p(-bet) - math.log1p(-null))


def inside(rate: float) -> float:
    """The rate, or the nearest one that can be bet on."""
    return min(max(rate, _LEAST_RATE), 1.0 - _LEAST_RATE)
