"""Which candidate becomes the challenger: the one that does best on rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_image.candidates import Candidate, Shape
from training_image.errors import BadData

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tried:
    """One candidate's cross-validation: `probabilities` [rows, labels], each row's from a fit without that row."""

    candidate: Candidate
    probabilities: NDArray[np.float64]
    fold_accuracies: tuple[float, ...]

    @property
    def predictions(self) -> Integers:
        """The number of the likeliest label [rows]."""
        predictions: Integers = self.probabilities.argmax(axis=1)
        return predictions

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.fold_accuracies))


def assign_folds(labels: Integers, judged: NDArray[np.bool_], folds: int, seed: int) -> Integers:
    """A fold per row [rows], each fold with nearly its share of every label, of new and of earlier rows.

    Raises BadData when there are fewer rows than folds, or when leaving out one fold could leave a single label.
    """
    counts = np.bincount(labels)
    reasons = []
    if len(labels) < folds:
        reasons.append(f"{len(labels)} rows are fewer than the {folds} folds of the cross-validation")
    if (counts >= 2).sum() < 2:
        reasons.append("at least two labels need at least two rows each")
    if reasons:
        raise BadData(reasons)
    # Shuffled, then sorted by stratum: dealing the rows out like cards spreads every stratum over all folds.
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = shuffled[np.lexsort((judged[shuffled], labels[shuffled]))]
    assigned = np.empty(len(labels), dtype=np.int64)
    assigned[order] = np.arange(len(labels)) % folds
    return assigned


def cross_validate(
    candidate: Candidate, shape: Shape, rows: NDArray[Any], labels: Integers, assigned: Integers, seed: int
) -> Tried:
    """The candidate's answer for every row, each by a fit on the other folds only."""
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    folds = range(int(assigned.max()) + 1)
    for fold in folds:
        unseen = assigned == fold
        fitted = candidate.build(shape, seed).fit(rows[~unseen], labels[~unseen])
        # A label whose only row is in this fold is unknown to the fit: its probability stays zero.
        probabilities[np.ix_(unseen, fitted.classes_)] = fitted.predict_proba(rows[unseen])
    right = probabilities.argmax(axis=1) == labels
    accuracies = tuple(float(right[assigned == fold].mean()) for fold in folds)
    return Tried(candidate, probabilities, accuracies)


def best(tried: Sequence[Tried]) -> Tried:
    """The one with the highest mean accuracy over the folds; the first of equals."""
    return max(tried, key=lambda one: one.accuracy)
