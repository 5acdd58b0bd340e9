"""Every metric and its interval, against scikit-learn and a jackknife that knows nothing of influences."""

import csv
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.datasets import load_iris

from shared.evaluation import Evaluation
from shared.settings import Settings
from training_image.evaluation import Champion
from training_image.metrics import ROWS_MIN, Side, aligned, compare
from training_image.rows import Upload
from training_image.training import Plan, train

CANDIDATES = ["LogisticRegression", "RandomForest"]
SETTINGS = Settings.model_validate({"data": {"target": "y"}, "training": {"candidates": CANDIDATES}})
PLAN = Plan("known", "known-000001", SETTINGS)


def upload(columns: np.ndarray, target: np.ndarray) -> Upload:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*(f"f{number}" for number in range(columns.shape[1])), "y"])
    writer.writerows([*row.tolist(), f"class {label}"] for row, label in zip(columns, target, strict=True))
    return Upload("rows.csv", text.getvalue().encode())


def expected_calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    best, total = probabilities.max(axis=1).round(6), 0.0
    for low in np.arange(10) / 10:
        inside = (best >= low) & ((best < low + 0.1 - 1e-12) | (low == 0.9))
        if inside.any():
            hits = (probabilities[inside].argmax(axis=1) == truth[inside]).mean()
            total += inside.mean() * abs(best[inside].mean() - hits)
    return float(total)


def plain_metric(metric: str, truth: np.ndarray, probabilities: np.ndarray) -> float:
    answers, labels = probabilities.argmax(axis=1), np.arange(probabilities.shape[1])
    scores: Any = probabilities[:, 1] if len(labels) == 2 else probabilities
    computed: dict[str, Callable[[], float]] = {
        "accuracy": lambda: reference.accuracy_score(truth, answers),
        "balanced_accuracy": lambda: reference.balanced_accuracy_score(truth, answers),
        "macro_f1": lambda: reference.f1_score(truth, answers, average="macro"),
        "log_loss": lambda: reference.log_loss(truth, probabilities, labels=labels),
        "roc_auc": lambda: reference.roc_auc_score(truth, scores, multi_class="ovr", labels=labels),
        "calibration_error": lambda: expected_calibration_error(truth, probabilities),
    }
    return computed[metric]()


METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc", "calibration_error")


def plain(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    return {metric: plain_metric(metric, truth, probabilities) for metric in METRICS}


def sides(rows: int, labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(labels), random.integers(0, labels, rows - labels)])
    sure, unsure = (random.dirichlet(np.ones(labels), rows) + lift * np.eye(labels)[truth] for lift in (0.8, 0.4))
    return truth, sure / sure.sum(axis=1, keepdims=True), unsure / unsure.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "log_loss", "roc_auc", "calibration_error"])
def test_the_interval_is_as_wide_as_a_jackknife_says(metric: str, labels: int) -> None:
    truth, one, other = sides(200, labels)
    found = next(each for each in compare(Side(truth, one), Side(truth, other)) if each.metric == metric).difference
    left_out = [
        plain_metric(metric, np.delete(truth, row), np.delete(one, row, 0))
        - plain_metric(metric, np.delete(truth, row), np.delete(other, row, 0))
        for row in range(200)
    ]
    error = np.sqrt(199 / 200 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    assert found.low is not None and found.high is not None
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.05)


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.integers(ROWS_MIN, 80), st.integers(2, 5), st.integers(0, 10_000))
def test_exchanging_the_sides_turns_every_interval_round(rows: int, labels: int, seed: int) -> None:
    truth, one, other = sides(rows, labels, seed)
    there, back = compare(Side(truth, one), Side(truth, other)), compare(Side(truth, other), Side(truth, one))
    for first, second in zip(there, back, strict=True):
        assert first.difference.low is not None and second.difference.high is not None
        assert first.difference.low == pytest.approx(-second.difference.high, abs=1e-9)


def test_equal_sides_have_no_interval_but_that_of_the_accuracy() -> None:
    truth, one, _ = sides(100)
    found = {each.metric: each.difference for each in compare(Side(truth, one), Side(truth, one))}
    assert found["accuracy"].low is not None and found["accuracy"].low < 0
    assert (found["log_loss"].estimate, found["log_loss"].low) == (0, None)


def test_few_rows_have_no_interval_but_that_of_the_accuracy() -> None:
    truth, one, other = sides(ROWS_MIN - 1)
    found = {each.metric: each.difference for each in compare(Side(truth, one), Side(truth, other))}
    assert found["accuracy"].low is not None
    assert found["roc_auc"].estimate is not None and found["roc_auc"].low is None


def test_rows_of_one_label_have_no_area() -> None:
    truth, one, other = np.zeros(40, dtype=np.int64), *sides(40)[1:]
    area = next(each for each in compare(Side(truth, one), Side(truth, other)) if each.metric == "roc_auc")
    assert (area.challenger, area.rival, area.difference.estimate) == (None, None, None)


def test_a_label_that_one_side_does_not_know_has_probability_zero_there() -> None:
    assert aligned(np.array([[0.25, 0.75]]), ("c", "a"), ("a", "b", "c")).tolist() == [[0.75, 0.0, 0.25]]


def test_a_champion_that_lacks_a_new_label_is_compared_on_every_row() -> None:
    data = load_iris()
    old = data.target < 2
    first = train(PLAN, [], [upload(data.data[old], data.target[old])])
    found: Evaluation = train(
        PLAN, [], [upload(data.data, data.target)], Champion(first.model, "known-000001")
    ).evaluation
    compared = {one.metric: one for one in found.comparisons}
    assert compared["accuracy"].rival == pytest.approx(2 / 3, abs=0.01)
    assert compared["accuracy"].difference.low is not None
    assert compared["log_loss"].rival is not None and compared["log_loss"].rival > 5
