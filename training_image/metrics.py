"""Every metric of a classification, for two sides on the same rows, and how sure one may be of their difference.

A metric comes with its influence [rows]: how much each row moves it, mean zero. The difference of two metrics on the
same rows then has the standard error std(influence − influence')/√rows, whatever the metric, at the price of one pass.
Source: F. Hampel, J. Am. Stat. Assoc. 69 (1974) 383–393; for ROC AUC: E. DeLong et al., Biometrics 44 (1988) 837–845.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.evaluation import Difference, MetricComparison
from training_image.comparison import CONFIDENCE_Z, paired_difference

ROWS_MIN = 30
"""With fewer rows the normal approximation of these intervals says too much: there is no interval then."""
CALIBRATION_BINS = 10
ROUNDING = 1e-5
"""Of a probability calculated in 32 bits, in tenths."""

Doubles = NDArray[np.float64]
Codes = NDArray[np.int64]
S = TypeVar("S")


@dataclass(frozen=True)
class Side:
    """One model's answers: `probabilities` [rows, labels], each row adding up to one, over both sides' labels."""

    truth: Codes
    probabilities: Doubles

    @property
    def answers(self) -> Codes:
        answers: Codes = self.probabilities.argmax(axis=1)
        return answers

    def at(self, rows: NDArray[np.bool_]) -> Side:
        """The same for some of the rows."""
        return Side(self.truth[rows], self.probabilities[rows])


@dataclass(frozen=True)
class Measured:
    value: float
    influence: Doubles


@dataclass(frozen=True)
class Metric:
    """How a metric is measured and read; `relative` if a gain is a share of the rival's value, as for errors."""

    name: str
    higher_is_better: bool
    measure: Callable[[Any], Measured | None]
    relative: bool = False
    interval: Callable[[Any, Any], Difference] | None = None
    """An interval of its own, better than that of the influences."""


def accuracy(side: Side) -> Measured:
    return _mean((side.truth == side.answers).astype(np.float64))


def balanced_accuracy(side: Side) -> Measured:
    """The mean recall over the labels that occur in truth."""
    right, labels = side.truth == side.answers, np.unique(side.truth)
    recalls = [(of, right[of].mean(), of.mean()) for of in (side.truth == label for label in labels)]
    influence = sum((of * (right - recall) / share for of, recall, share in recalls), np.zeros(len(right)))
    return Measured(float(np.mean([recall for _, recall, _ in recalls])), influence / len(labels))


def macro_f1(side: Side) -> Measured:
    """The mean F1 = 2·hits / (in truth + in answers) over the labels that occur in either."""
    labels = np.union1d(side.truth, side.answers)
    values, influence = [], np.zeros(len(side.truth))
    for label in labels:
        true, answered = side.truth == label, side.answers == label
        occurrences = true.astype(np.float64) + answered
        hits = 2.0 * (true & answered)
        values.append(hits.sum() / occurrences.sum())
        influence += (hits - values[-1] * occurrences) / occurrences.mean()
    return Measured(float(np.mean(values)), influence / len(labels))


def log_loss(side: Side) -> Measured:
    """The mean of −ln p(true label) in nats; a probability below a double's resolution counts as that."""
    given = side.probabilities[np.arange(len(side.truth)), side.truth]
    return _mean(-np.log(np.clip(given, np.finfo(np.float64).eps, None)))


def roc_auc(side: Side) -> Measured | None:
    """The mean over labels of one-against-rest areas; what no row or every row is tells nothing and is left out."""
    areas = [
        _area(side.truth == label, side.probabilities[:, label])
        for label in np.unique(side.truth)
        if not (side.truth == label).all()
    ]
    if not areas:
        return None
    influence = sum((area.influence for area in areas), np.zeros(len(side.truth)))
    return Measured(float(np.mean([area.value for area in areas])), influence / len(areas))


def calibration_error(side: Side) -> Measured:
    """The expected calibration error of the best label's probability, over ten bins of equal width."""
    confidence = side.probabilities.max(axis=1)
    excess = confidence - (side.truth == side.answers)
    bins = calibration_bins(confidence)
    signs = np.sign(np.bincount(bins, weights=excess, minlength=CALIBRATION_BINS))
    return _mean(signs[bins] * excess)


def calibration_bins(confidence: Doubles) -> Codes:
    """The bin of each confidence [rows]; what 32 bits have rounded to just below an edge is on it."""
    places: Codes = np.floor(confidence * CALIBRATION_BINS + ROUNDING).astype(np.int64)
    return np.minimum(places, CALIBRATION_BINS - 1)


def exact_accuracy(one: Side, other: Side) -> Difference:
    return paired_difference(one.answers == one.truth, other.answers == other.truth)


CLASSIFICATION = (
    Metric("accuracy", True, accuracy, interval=exact_accuracy),
    Metric("balanced_accuracy", True, balanced_accuracy),
    Metric("macro_f1", True, macro_f1),
    Metric("log_loss", False, log_loss, relative=True),
    Metric("roc_auc", True, roc_auc),
    Metric("calibration_error", False, calibration_error),
)
"""The first one is the primary metric unless the settings say otherwise."""


def compare(challenger: S, rival: S, metrics: Sequence[Metric] = CLASSIFICATION) -> tuple[MetricComparison, ...]:
    """Every metric of both sides with challenger minus rival and its 95 % interval, in the metric's own unit."""
    return tuple(_compared(metric, challenger, rival) for metric in metrics)


def _compared(metric: Metric, challenger: Any, rival: Any) -> MetricComparison:
    one, other = metric.measure(challenger), metric.measure(rival)
    return MetricComparison(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        relative=metric.relative,
        challenger=one.value if one else None,
        rival=other.value if other else None,
        difference=metric.interval(challenger, rival) if metric.interval else difference(one, other),
    )


def difference(one: Measured | None, other: Measured | None) -> Difference:
    """One minus other; without an interval where the rows are too few or no row tells the two apart."""
    if one is None or other is None:
        return Difference()
    estimate, rows = one.value - other.value, len(one.influence)
    error = float(np.std(one.influence - other.influence, ddof=1)) / math.sqrt(rows) if rows >= ROWS_MIN else 0.0
    if error == 0.0:
        return Difference(estimate=estimate)
    return Difference(estimate=estimate, low=estimate - CONFIDENCE_Z * error, high=estimate + CONFIDENCE_Z * error)


def aligned(probabilities: NDArray[np.floating], own: tuple[str, ...], labels: tuple[str, ...]) -> Doubles:
    """Probabilities [rows, own labels] as [rows, labels], zero for a label that the model does not know."""
    columns = {label: column for column, label in enumerate(labels)}
    spread = np.zeros((len(probabilities), len(labels)))
    spread[:, [columns[label] for label in own]] = probabilities
    normalised: Doubles = spread / spread.sum(axis=1, keepdims=True)
    return normalised


def _mean(per_row: Doubles) -> Measured:
    value = float(per_row.mean())
    return Measured(value, per_row - value)


def _area(positive: NDArray[np.bool_], scores: Doubles) -> Measured:
    """The chance that a positive row scores higher than a negative one, a tie counting half."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    ranks = _middle_ranks(scores)
    # Of each row, the share of the other class that it is on the right side of.
    right_side = np.empty(len(scores))
    right_side[positive] = (ranks[positive] - _middle_ranks(scores[positive])) / negatives
    right_side[~positive] = 1 - (ranks[~positive] - _middle_ranks(scores[~positive])) / positives
    value = float(right_side[positive].mean())
    shares = np.where(positive, positives, negatives) / len(scores)
    return Measured(value, (right_side - value) / shares)


def _middle_ranks(scores: Doubles) -> Doubles:
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: Doubles = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
