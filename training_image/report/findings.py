"""Everything that the report shows, as numbers: the page draws them, `report.json` gives them to programs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from shared.evaluation import Evaluation
from shared.scorecard import Card, grade
from training_image.goals import Goal, Labels
from training_image.lineage import Lineage
from training_image.metrics import CALIBRATION_BINS, Metric, Side, calibration_bins
from training_image.onnx_model import OnnxModel
from training_image.regression_metrics import Values
from training_image.rows import Table
from training_image.training import Trained

MAX_CURVES = 10
MAX_CURVE_POINTS = 60
MAX_CONFUSED_LABELS = 30
MAX_IMPORTANT = 20
MAX_SHUFFLED_FEATURES = 200
"""Wider tables show the importance of their first columns only: each one costs an answer to every row looked at."""
IMPORTANCE_ROWS = 300
MAX_DOTS = 400


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Confusion(_Frozen):
    """How often each true label (rows) got each answer (columns), of the labels shown."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Bin(_Frozen):
    """Answers given with about the same confidence: how sure they were, and how many of them were right."""

    confidence: float
    right: float
    rows: int


class Curve(_Frozen):
    """A label against all others, from the surest answer on: rates at each of some thresholds."""

    label: str
    false_positive: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]


class Importance(_Frozen):
    """How much worse the primary metric becomes when a feature's cells are shuffled among the rows."""

    feature: str
    loss: float


class Report(_Frozen):
    """The whole report; what the task does not have is empty."""

    evaluation: Evaluation
    card: Card
    lineage: Lineage
    confusion: Confusion | None = None
    calibration: tuple[Bin, ...] = ()
    curves: tuple[Curve, ...] = ()
    answered: tuple[tuple[float, float], ...] = ()
    importance: tuple[Importance, ...] = ()
    anomaly_threshold: float


def report_of(trained: Trained, lineage: Lineage, anomaly_threshold: float) -> Report:
    """The report of one attempt; its card is the one that the decision will come to."""
    side = trained.judged.own
    return Report(
        evaluation=trained.evaluation,
        card=grade(trained.evaluation, trained.plan.settings.decision),
        lineage=lineage,
        confusion=_confusion(side, trained.goal.names) if isinstance(side, Side) else None,
        calibration=_calibration(side) if isinstance(side, Side) else (),
        curves=_curves(side, trained.goal.names) if isinstance(side, Side) else (),
        answered=_answered(side) if isinstance(side, Values) else (),
        importance=_importance(trained),
        anomaly_threshold=anomaly_threshold,
    )


def _confusion(side: Side, names: tuple[str, ...]) -> Confusion:
    commonest = np.sort(np.argsort(-np.bincount(side.truth, minlength=len(names)))[:MAX_CONFUSED_LABELS])
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (side.truth, side.answers), 1)
    shown = counts[np.ix_(commonest, commonest)]
    return Confusion(labels=tuple(names[label] for label in commonest), counts=tuple(map(tuple, shown.tolist())))


def _calibration(side: Side) -> tuple[Bin, ...]:
    confidence, right = side.probabilities.max(axis=1), side.truth == side.answers
    places = calibration_bins(confidence)
    return tuple(
        Bin(confidence=float(confidence[of].mean()), right=float(right[of].mean()), rows=int(of.sum()))
        for of in (places == place for place in range(CALIBRATION_BINS))
        if of.any()
    )


def _curves(side: Side, names: tuple[str, ...]) -> tuple[Curve, ...]:
    """One curve per label, of two labels only the second: the other one is its mirror image."""
    counts = np.bincount(side.truth, minlength=len(names))
    shown = [1] if len(names) == 2 else np.sort(np.argsort(-counts)[:MAX_CURVES]).tolist()
    drawn = (label for label in shown if 0 < counts[label] < len(side.truth))
    return tuple(_curve(names[label], side.truth == label, side.probabilities[:, label]) for label in drawn)


def _curve(label: str, positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> Curve:
    order = np.argsort(-scores, kind="stable")
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(positive[order])[last_of_equals]
    taken = np.flatnonzero(last_of_equals) + 1
    picked = np.unique(np.linspace(0, len(taken) - 1, MAX_CURVE_POINTS).astype(int))
    hits, taken = hits[picked], taken[picked]
    return Curve(
        label=label,
        false_positive=(0.0, *((taken - hits) / (~positive).sum()).tolist()),
        recall=(0.0, *(hits / positive.sum()).tolist()),
        precision=(1.0, *(hits / taken).tolist()),
    )


def _answered(side: Values) -> tuple[tuple[float, float], ...]:
    picked = np.unique(np.linspace(0, len(side.truth) - 1, MAX_DOTS).astype(int))
    return tuple(zip(side.truth[picked].tolist(), side.answers[picked].tolist(), strict=True))


def _importance(trained: Trained) -> tuple[Importance, ...]:
    """Of the model as it is served, on judged rows; the features that matter most first."""
    table, goal, seed = trained.table, trained.goal, trained.plan.settings.training.seed
    judged = np.flatnonzero(table.judged)
    rows = judged[np.unique(np.linspace(0, len(judged) - 1, IMPORTANCE_ROWS).astype(int))]
    metric = next(one for one in goal.metrics if one.name == trained.evaluation.primary)
    whole = _measured(metric, goal, trained.model, table, rows, table.numbers[rows], table.texts[rows])
    sign = 1 if metric.higher_is_better else -1
    random = np.random.default_rng(seed)
    losses = []
    for name in [feature.name for feature in table.features][:MAX_SHUFFLED_FEATURES]:
        numbers, texts = _shuffled(table, rows, name, random)
        losses.append(
            Importance(
                feature=name, loss=sign * (whole - _measured(metric, goal, trained.model, table, rows, numbers, texts))
            )
        )
    return tuple(sorted(losses, key=lambda one: -one.loss)[:MAX_IMPORTANT])


def _shuffled(
    table: Table, rows: NDArray[Any], name: str, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.object_]]:
    numbers, texts = table.numbers[rows], table.texts[rows]
    matrix: NDArray[Any] = numbers if name in table.names("number") else texts
    place = (table.names("number") if name in table.names("number") else table.names("text")).index(name)
    matrix[:, place] = random.permutation(matrix[:, place])
    return numbers, texts


def _measured(
    metric: Metric, goal: Goal, model: OnnxModel, table: Table, rows: NDArray[Any], numbers: Any, texts: Any
) -> float:
    picked = np.zeros(len(table.target), dtype=np.bool_)
    picked[rows] = True
    answers = model.answers(numbers, texts).astype(np.float64)
    if isinstance(goal, Labels):
        answers /= answers.sum(axis=1, keepdims=True)
    measured = metric.measure(goal.side(answers, picked))
    return measured.value if measured else 0.0
