"""The statistics equal scipy's, and an effect size does not depend on how much traffic there is."""

import math
import random

import pytest
from drift_statistic import binomial_tail, chi_squared_tail, distance, highest_rate, homogeneity_chance
from scipy import stats
from scipy.spatial.distance import jensenshannon

BINOMIALS = [(0, 10, 0.1), (3, 10, 0.1), (60, 300, 0.1), (900, 900, 0.99)]


@pytest.mark.parametrize("degrees", [1, 2, 7, 12, 40])
@pytest.mark.parametrize("statistic", [0.0, 0.3, 5.0, 12.0, 55.0, 240.0])
def test_the_tail_of_chi_squared_is_scipys(statistic: float, degrees: int) -> None:
    assert chi_squared_tail(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("successes", "trials", "chance"), BINOMIALS)
def test_the_binomial_tail_is_scipys(successes: int, trials: int, chance: float) -> None:
    assert binomial_tail(successes, trials, chance) == pytest.approx(stats.binom.sf(successes - 1, trials, chance))


@pytest.mark.parametrize(("chance", "tail"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_certain_event_is_certain(chance: float, tail: float) -> None:
    assert binomial_tail(3, 10, chance) == tail


def test_the_highest_rate_is_wilsons() -> None:
    wilson = stats.binomtest(12, 200).proportion_ci(0.98, method="wilson")
    assert highest_rate(12, 200, 0.01) == pytest.approx(wilson.high)


def test_homogeneity_is_scipys_where_no_bin_is_rare() -> None:
    first, second = [120, 80, 60, 140], [100, 90, 75, 135]
    assert homogeneity_chance(first, second) == pytest.approx(stats.chi2_contingency([first, second]).pvalue)


def test_distances_are_the_definitions_on_large_samples() -> None:
    first, second = [400_000, 300_000, 200_000, 100_000], [250_000, 250_000, 250_000, 250_000]
    p, q = [0.4, 0.3, 0.2, 0.1], [0.25] * 4
    found = distance(first, second)
    assert found.psi == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)), rel=1e-4)
    assert found.jensen_shannon == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-4)


def test_the_effect_size_is_the_same_for_little_and_for_much_traffic() -> None:
    baseline = [1000, 800, 600, 400, 200]
    sizes = [distance(baseline, [200 * k, 400 * k, 600 * k, 800 * k, 1000 * k]).psi for k in (1, 10, 1000)]
    assert max(sizes) - min(sizes) < 0.01


def test_rare_bins_do_not_make_a_difference_where_there_is_none() -> None:
    chance, false = random.Random(5), 0
    shares = [0.5, 0.3, 0.15, 0.03, 0.01, 0.005, 0.003, 0.002]
    for _ in range(300):
        first, second = (
            [sum(1 for each in drawn if each == bin) for bin in range(8)]
            for drawn in (chance.choices(range(8), shares, k=size) for size in (240, 1000))
        )
        false += homogeneity_chance(first, second) < 0.01
    assert false <= 9


def test_histograms_that_cannot_be_compared_are_refused() -> None:
    for first, second in (([1, 2], [1, 2, 3]), ([0, 0], [1, 2]), ([1, 2], [0, 0])):
        with pytest.raises(ValueError, match="histograms"):
            distance(first, second)
