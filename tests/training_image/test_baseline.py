"""The baseline counts every training row of every feature once, on bins that fit its values."""

import numpy as np
import pytest

from shared.distributions import Baseline
from training_image.baseline import baseline_of
from training_image.goals import goal_of
from training_image.rows import Table, Upload, read_table

ROWS = 200


def table(targets: tuple[str, ...] = ("no", "yes")) -> Table:
    lines = ["size,constant,empty,colour,y"]
    for number in range(ROWS):
        size = "" if number % 20 == 0 else str(number)
        lines.append(f"{size},7,,{'red' if number % 4 else ''},{targets[number % len(targets)]}")
    return read_table([], [Upload("rows.csv", "\n".join(lines).encode())], "y")


@pytest.fixture(scope="module")
def kept() -> Baseline:
    made = table()
    answers = np.tile([[0.28, 0.72]], (ROWS, 1))
    return Baseline.parse(
        baseline_of(made, goal_of(made, "y", None), answers, np.linspace(0.4, 0.6, ROWS, dtype=np.float32))
    )


def test_every_row_is_counted_once_in_every_column(kept: Baseline) -> None:
    assert list(kept.features) == ["size", "constant", "empty", "colour"]
    assert {name: sum(each.counts) for name, each in (kept.features | kept.predictions).items()} == dict.fromkeys(
        [*kept.features, "label", "probability", "anomaly_score"], ROWS
    )


def test_the_bins_of_numbers_hold_about_a_tenth_each_and_missing_ones_are_apart(kept: Baseline) -> None:
    *bins, above, missing = kept.features["size"].counts[1:]
    assert missing == 10
    assert all(17 <= count <= 21 for count in bins) and above == 1
    assert (kept.features["constant"].bins, kept.features["constant"].counts) == ((7.0,), (0, ROWS, 0))
    assert kept.features["empty"].counts[-1] == ROWS


def test_texts_and_labels_are_counted_by_value(kept: Baseline) -> None:
    assert (kept.features["colour"].bins, kept.features["colour"].counts) == (("red",), (150, 0, 50))
    assert (kept.predictions["label"].bins, kept.predictions["label"].counts) == (("no", "yes"), (0, ROWS, 0, 0))
    assert kept.predictions["probability"].counts[8] == ROWS


def test_a_regressions_answers_are_counted_as_numbers() -> None:
    made = table(tuple(f"{number}.5" for number in range(40)))
    answers = np.arange(ROWS, dtype=np.float64).reshape(-1, 1)
    found = Baseline.parse(baseline_of(made, goal_of(made, "y", None), answers, np.zeros(ROWS, dtype=np.float32)))
    assert sum(found.predictions["value"].counts) == ROWS
    assert "label" not in found.predictions
