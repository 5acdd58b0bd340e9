"""How far a column has moved from its baseline, and whether that can be chance. Pure numbers, without numpy.

Effect sizes do not depend on how much traffic there is, p-values do nothing else: a column has drifted when its
population stability index is large *and* Pearson's test of homogeneity says that so large a difference is no chance.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

Counts = Sequence[int]
_LEAST_IN_A_BIN = 5.0  # expected of both samples, below which a bin is taken together with the next
_SMOOTHING = 0.5  # rows of the smaller sample: a bin that only one of the samples has seen is no infinite distance


@dataclass(frozen=True)
class Distance:
    """Between two histograms on the same bins: PSI and Jensen–Shannon in nats; `chance` is the test's p-value."""

    psi: float
    jensen_shannon: float
    chance: float


def distance(baseline: Counts, now: Counts) -> Distance:
    """Raises ValueError when the histograms have other bins, or one is empty."""
    if len(baseline) != len(now) or not sum(baseline) or not sum(now):
        raise ValueError("histograms on the same bins are needed, none of them empty")
    least = _SMOOTHING / min(sum(baseline), sum(now))
    one, other = _shares(baseline, least), _shares(now, least)
    psi = sum((b - a) * math.log(b / a) for a, b in zip(one, other, strict=True))
    middle = [(a + b) / 2 for a, b in zip(one, other, strict=True)]
    divergence = (_relative_entropy(one, middle) + _relative_entropy(other, middle)) / 2
    return Distance(psi, divergence, homogeneity_chance(baseline, now))


def homogeneity_chance(first: Counts, second: Counts) -> float:
    """The p-value of Pearson's chi-squared test that both histograms are of one distribution; rare bins are pooled."""
    one, other = _pooled(first, second)
    n, m = sum(first), sum(second)
    if len(one) < 2:
        return 1.0
    pairs = zip(one, other, strict=True)
    statistic = sum((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b) for a, b in pairs)
    return chi_squared_tail(statistic, len(one) - 1)


def chi_squared_tail(statistic: float, degrees: int) -> float:
    """P(X ≥ statistic) for chi-squared X: the regularised upper incomplete gamma function (Numerical Recipes §6.2)."""
    a, x = degrees / 2, statistic / 2
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    return 1.0 - scale * _series(a, x) if x < a + 1 else scale * _continued_fraction(a, x)


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X ≥ successes) for binomial X, summed term by term: exact up to rounding."""
    if successes <= 0:
        return 1.0
    if chance <= 0.0:
        return 0.0
    if chance >= 1.0:
        return 1.0
    whole = math.lgamma(trials + 1)
    total = 0.0
    for k in range(successes, trials + 1):
        ways = whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        term = math.exp(ways + k * math.log(chance) + (trials - k) * math.log1p(-chance))
        total += term
        if term < total * 1e-12 and k > trials * chance:
            break
    return min(1.0, total)


def highest_rate(bad: int, units: int, chance: float) -> float:
    """The upper end of Wilson's interval for a rate that was seen as `bad` of `units`, missed with at most `chance`."""
    z = NormalDist().inv_cdf(1 - chance)
    share = bad / units
    centre = share + z * z / (2 * units)
    reach = z * math.sqrt(share * (1 - share) / units + z * z / (4 * units * units))
    return min(1.0, (centre + reach) / (1 + z * z / units))


def _shares(counts: Counts, least: float) -> list[float]:
    """Shares of the bins, raised by as much in both histograms: what neither has seen is no distance."""
    whole, raised = sum(counts), 1 + least * len(counts)
    return [(count / whole + least) / raised for count in counts]


def _relative_entropy(of: Sequence[float], against: Sequence[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(of, against, strict=True))


def _pooled(first: Counts, second: Counts) -> tuple[list[float], list[float]]:
    """Both histograms with bins taken together until the smaller sample can be expected to have some in each."""
    smaller = min(sum(first), sum(second)) / (sum(first) + sum(second))
    one, other = [0.0], [0.0]
    for a, b in zip(first, second, strict=True):
        one[-1] += a
        other[-1] += b
        if (one[-1] + other[-1]) * smaller >= _LEAST_IN_A_BIN:
            one.append(0.0)
            other.append(0.0)
    last = (one.pop(), other.pop())
    if one:
        one[-1] += last[0]
        other[-1] += last[1]
    return one, other


def _series(a: float, x: float) -> float:
    term = total = 1.0 / a
    while term > total * 1e-15:
        a += 1.0
        term *= x / a
        total += term
    return total


def _continued_fraction(a: float, x: float) -> float:
    """Lentz's method, as Numerical Recipes has it."""
    tiny = 1e-300
    b = x + 1.0 - a
    c, d = 1.0 / tiny, 1.0 / b
    value = d
    for i in range(1, 10_000):
        factor = -i * (i - a)
        b += 2.0
        d = 1.0 / _not_zero(factor * d + b, tiny)
        c = _not_zero(b + factor / c, tiny)
        value *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return value


def _not_zero(value: float, tiny: float) -> float:
    return tiny if abs(value) < tiny else value
