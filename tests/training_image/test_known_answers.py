"""What the chain says about three real data sets is what plain scikit-learn says, computed here without any of it.

Metrics are scikit-learn's, of pipelines written out; intervals are a jackknife's (of the accuracy: Tango's, solved
numerically); the scorecard is the rubric's text as plain conditions. Only the folds are the chain's own.
"""

import csv
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from sklearn import metrics as reference
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from shared.evaluation import Evaluation
from shared.rubric import Rubric
from shared.scorecard import grade
from shared.settings import Settings
from training_image.evaluation import Champion
from training_image.rows import Upload
from training_image.selection import assign_folds
from training_image.training import Plan, train

EARLIER, ALL = 60, 170
LEARNERS: dict[str, Callable[[], Any]] = {
    "LogisticRegression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "RandomForest": lambda: RandomForestClassifier(n_estimators=50, random_state=0),
    "Ridge": lambda: make_pipeline(StandardScaler(), Ridge(solver="cholesky")),
}
Metrics = dict[str, Callable[[np.ndarray, np.ndarray], float]]


def calibration(truth: np.ndarray, given: np.ndarray) -> float:
    best, total = given.max(axis=1).round(6), 0.0
    for low in np.arange(10) / 10:
        inside = (best >= low) & ((best < low + 0.1 - 1e-12) | (low == 0.9))
        if inside.any():
            hits = (given[inside].argmax(axis=1) == truth[inside]).mean()
            total += inside.mean() * abs(best[inside].mean() - hits)
    return float(total)


def area(truth: np.ndarray, given: np.ndarray) -> float:
    scores: Any = given[:, 1] if given.shape[1] == 2 else given
    return float(reference.roc_auc_score(truth, scores, multi_class="ovr", labels=np.arange(given.shape[1])))


LABELS: Metrics = {
    "accuracy": lambda truth, given: reference.accuracy_score(truth, given.argmax(axis=1)),
    "balanced_accuracy": lambda truth, given: reference.balanced_accuracy_score(truth, given.argmax(axis=1)),
    "macro_f1": lambda truth, given: reference.f1_score(truth, given.argmax(axis=1), average="macro"),
    "log_loss": lambda truth, given: reference.log_loss(truth, given, labels=np.arange(given.shape[1])),
    "roc_auc": area,
    "calibration_error": calibration,
}
NUMBERS: Metrics = {
    "mae": reference.mean_absolute_error,
    "rmse": reference.root_mean_squared_error,
    "r2": reference.r2_score,
}


class Known:
    """One data set: what the chain found, and the same rows, answers and truths for the independent computation."""

    def __init__(self, load: Callable[[], Any], learner: str) -> None:
        data, self.metrics = load(), NUMBERS if learner == "Ridge" else LABELS
        order = np.random.default_rng(0).permutation(len(data.target))[:ALL]
        columns, target = data.data[order].astype(np.float32).astype(np.float64), data.target[order]
        self.found = chain(columns, target, learner)
        judged = np.arange(ALL) >= EARLIER
        strata = np.searchsorted(np.quantile(target, [0.2, 0.4, 0.6, 0.8]), target) if learner == "Ridge" else target
        folds = assign_folds(strata.astype(np.int64), judged, 5, 0)
        method = "predict" if learner == "Ridge" else "predict_proba"
        make = LEARNERS[learner]
        out_of_fold = cross_val_predict(make(), columns, target, cv=PredefinedSplit(folds), method=method)
        headline = self.metrics["r2" if learner == "Ridge" else "accuracy"]
        self.fold_scores = [headline(target[folds == fold], out_of_fold[folds == fold]) for fold in range(5)]
        self.train_score = headline(target[judged], getattr(make().fit(columns, target), method)(columns[judged]))
        self.truth, self.challenger = target[judged], out_of_fold[judged]
        self.rival = getattr(make().fit(columns[:EARLIER], target[:EARLIER]), method)(columns[judged])
        shares = np.bincount(target.astype(np.int64)) / ALL
        self.constant = (
            np.full(ALL - EARLIER, target.mean()) if learner == "Ridge" else np.tile(shares, (ALL - EARLIER, 1))
        )
        self.score = headline(self.truth, self.challenger)


def chain(columns: np.ndarray, target: np.ndarray, learner: str) -> Evaluation:
    settings = Settings.model_validate({"data": {"target": "y"}, "training": {"candidates": [learner]}})
    window, earlier = upload(columns[EARLIER:], target[EARLIER:]), upload(columns[:EARLIER], target[:EARLIER])
    first = train(Plan("known", "known-000001", settings), [], [earlier])
    champion = Champion(first.model, "known-000001", "1")
    return train(Plan("known", "known-000002", settings), [earlier], [window], champion).evaluation


def upload(columns: np.ndarray, target: np.ndarray) -> Upload:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*(f"f{number}" for number in range(columns.shape[1])), "y"])
    writer.writerows([*row.tolist(), truth] for row, truth in zip(columns, target.tolist(), strict=True))
    return Upload("rows.csv", text.getvalue().encode())


@pytest.fixture(scope="module", params=["wine", "breast cancer", "diabetes"])
def known(request: pytest.FixtureRequest) -> Known:
    if request.param == "wine":
        return Known(load_wine, "LogisticRegression")
    return (
        Known(load_breast_cancer, "RandomForest") if request.param == "breast cancer" else Known(load_diabetes, "Ridge")
    )


def test_the_metrics_of_both_sides(known: Known) -> None:
    found = {one.metric: (one.challenger, one.rival) for one in known.found.comparisons}
    assert set(found) == set(known.metrics)
    for name, metric in known.metrics.items():
        expected = metric(known.truth, known.challenger), metric(known.truth, known.rival)
        assert found[name] == pytest.approx(expected, rel=2e-5, abs=2e-5), name


def test_the_intervals_of_every_difference(known: Known) -> None:
    for one in known.found.comparisons:
        low, high = tango(known) if one.metric == "accuracy" else jackknife(known, known.metrics[one.metric])
        found = one.difference
        assert found.low is not None and found.high is not None and found.estimate is not None
        width = high - low
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.04 * width), one.metric


def jackknife(known: Known, metric: Callable[[np.ndarray, np.ndarray], float]) -> tuple[float, float]:
    rows = len(known.truth)
    whole = metric(known.truth, known.challenger) - metric(known.truth, known.rival)
    left_out = []
    for row in range(rows):
        kept = np.arange(rows) != row
        truth = known.truth[kept]
        left_out.append(metric(truth, known.challenger[kept]) - metric(truth, known.rival[kept]))
    error = np.sqrt((rows - 1) / rows * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    return whole - 1.959964 * error, whole + 1.959964 * error


def tango(known: Known) -> tuple[float, float]:
    right, other = (given.argmax(axis=1) == known.truth for given in (known.challenger, known.rival))
    here, there, rows = int((right & ~other).sum()), int((other & ~right).sum()), len(right)

    def score(difference: float) -> float:
        def unlikelihood(chance: float) -> float:
            cells = ((here, chance + difference), (there, chance), (rows - here - there, 1 - 2 * chance - difference))
            return -sum(count * math.log(max(share, 1e-300)) for count, share in cells)

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        chance = minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        return float(
            (here - there - rows * difference) / math.sqrt(rows * (2 * chance + difference * (1 - difference)))
        )

    middle = (here - there) / rows
    low = brentq(lambda difference: score(difference) - 1.959964, -0.999, middle - 1e-6)
    return low, brentq(lambda difference: score(difference) + 1.959964, middle + 1e-6, 0.999)


def test_the_scores_that_the_card_is_made_from(known: Known) -> None:
    challenger = known.found.challenger
    assert challenger.score == pytest.approx(known.score, abs=1e-6)
    assert challenger.train_score == pytest.approx(known.train_score, abs=1e-6)
    assert challenger.fold_scores == pytest.approx(known.fold_scores, abs=1e-6)
    assert challenger.fold_deviation == pytest.approx(np.std(known.fold_scores), abs=1e-6)
    assert known.found.baseline is not None
    for name, metric in known.metrics.items():
        assert known.found.baseline.metrics[name] == pytest.approx(metric(known.truth, known.constant), abs=1e-6), name


def test_the_scorecard_point_by_point(known: Known) -> None:
    """The rubric's defaults, read aloud."""
    truth, regression = known.truth, known.metrics is NUMBERS
    primary = known.metrics["mae" if regression else "accuracy"]
    rival = primary(truth, known.rival)
    low, high = jackknife(known, primary) if regression else tango(known)
    gain = primary(truth, known.challenger) - rival
    if regression:
        gain, low = -gain / rival, -high / rival
    deviation, gap = np.std(known.fold_scores), known.train_score - known.score
    bounds = (0.75, 0.5) if regression else (0.9, 0.8)
    even = (
        reference.mean_absolute_error(truth, known.challenger) / reference.mean_absolute_error(truth, known.constant)
        if regression
        else -LABELS["macro_f1"](truth, known.challenger)
    )
    limits = (0.5, 0.8) if regression else (-0.85, -0.70)
    expected = [
        40 if gain > 0.01 and low > 0 else 20 if gain > 0 and low > -0.01 else 0,
        30 if known.score > bounds[0] else 20 if known.score > bounds[1] else 0,
        10 if deviation <= 0.03 else 5 if deviation <= 0.06 else 0,
        10 if gap <= 0.05 else 5 if gap <= 0.10 else 0,
        10 if even <= limits[0] else 5 if even <= limits[1] else 0,
    ]
    card = grade(known.found, Rubric())
    assert [criterion.points for criterion in card.criteria] == expected
    assert card.total == sum(expected)
    assert card.verdict.value == ("deploy" if card.total >= 70 else "ask" if card.total >= 50 else "reject")
