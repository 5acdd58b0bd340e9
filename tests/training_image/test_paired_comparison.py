"""The paired difference and its interval, against independent computations."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multinomial
from sklearn.metrics import f1_score

from training_image.comparison import CONFIDENCE_Z, macro_f1, paired_difference


def rights(both: int, here: int, there: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    one = [True] * both + [True] * here + [False] * there + [False] * neither
    other = [True] * both + [False] * here + [True] * there + [False] * neither
    return np.array(one, dtype=np.bool_), np.array(other, dtype=np.bool_)


def score(here: int, there: int, rows: int, difference: float) -> float:
    """Tango's statistic from a numerical maximum of the likelihood instead of its closed form."""
    same = rows - here - there

    def unlikelihood(chance: float) -> float:
        return -(
            here * math.log(max(chance + difference, 1e-300))
            + there * math.log(max(chance, 1e-300))
            + same * math.log(max(1 - 2 * chance - difference, 1e-300))
        )

    low, high = max(0.0, -difference), (1 - difference) / 2
    found = minimize_scalar(unlikelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    deviation = math.sqrt(rows * (2 * found.x + difference * (1 - difference)))
    return float((here - there - rows * difference) / deviation)


@pytest.mark.parametrize(("both", "here", "there", "neither"), [(36, 12, 2, 0), (20, 3, 9, 8), (150, 25, 5, 20)])
def test_at_the_ends_of_the_interval_the_score_is_the_normal_quantile(
    both: int, here: int, there: int, neither: int
) -> None:
    rows = both + here + there + neither
    found = paired_difference(*rights(both, here, there, neither))
    assert found.estimate == pytest.approx((here - there) / rows)
    assert found.low is not None and found.high is not None
    assert score(here, there, rows, found.low) == pytest.approx(CONFIDENCE_Z, abs=1e-4)
    assert score(here, there, rows, found.high) == pytest.approx(-CONFIDENCE_Z, abs=1e-4)


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_without_any_differing_row_the_interval_is_not_zero(rows: int) -> None:
    found = paired_difference(*rights(rows, 0, 0, 0))
    width = CONFIDENCE_Z**2 / (rows + CONFIDENCE_Z**2)
    assert [found.low, found.estimate, found.high] == pytest.approx([-width, 0, width])


def test_with_every_row_differing_the_interval_ends_at_one() -> None:
    found = paired_difference(*rights(0, 10, 0, 0))
    assert found.estimate == found.high == 1
    assert found.low is not None and 0 < found.low < 1


def test_exchanging_the_sides_turns_the_interval_round() -> None:
    one, other = rights(30, 9, 4, 7)
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert back.low is not None and back.high is not None and back.estimate is not None
    assert (there.low, there.estimate, there.high) == pytest.approx((-back.high, -back.estimate, -back.low))


def test_no_rows_give_no_numbers() -> None:
    found = paired_difference(*rights(0, 0, 0, 0))
    assert (found.estimate, found.low, found.high) == (None, None, None)


@pytest.mark.parametrize(("here", "there"), [(0.1, 0.05), (0.2, 0.2), (0.02, 0.02)])
def test_the_interval_covers_the_truth_in_nearly_95_of_100_cases(here: float, there: float) -> None:
    rows, covered = 25, 0.0
    chances = multinomial(rows, [here, there, 1 - here - there])
    for first in range(rows + 1):
        for second in range(rows + 1 - first):
            same = rows - first - second
            found = paired_difference(*rights(same, first, second, 0))
            assert found.low is not None and found.high is not None
            if found.low <= here - there <= found.high:
                covered += float(chances.pmf([first, second, same]))
    assert covered >= 0.93


def test_macro_f1_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    truth = random.choice(np.array(["a", "b", "c"], dtype=object), 200)
    answers = random.choice(np.array(["a", "b", "d"], dtype=object), 200)
    assert macro_f1(truth, answers) == pytest.approx(f1_score(truth, answers, average="macro", zero_division=0))
