"""Which candidate becomes the challenger: the one that does best on rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_image.candidates import Candidate
from training_image.errors import Untrainable
from training_image.goals import Goal
from training_image.metrics import Doubles, Metric
from training_image.preprocessing import Shape

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tried:
    """One candidate's cross-validation: `answers` [rows, outputs], each row's from a fit without that row.

    The scores, one per fold, are of the primary metric, by which is chosen, and of the task's headline.
    """

    candidate: Candidate
    answers: Doubles
    primary: tuple[float, ...]
    headline: tuple[float, ...]

    @property
    def score(self) -> float:
        return float(np.mean(self.primary))


def assign_folds(strata: Integers, judged: NDArray[np.bool_], folds: int, seed: int) -> Integers:
    """A fold per row [rows], each fold with nearly its share of every stratum, of new and of earlier rows.

    Raises Untrainable when there are fewer rows than folds.
    """
    if len(strata) < folds:
        raise Untrainable([f"{len(strata)} rows are fewer than the {folds} folds of the cross-validation"])
    # Shuffled, then sorted by stratum: dealing the rows out like cards spreads every stratum over all folds.
    shuffled = np.random.default_rng(seed).permutation(len(strata))
    order = shuffled[np.lexsort((judged[shuffled], strata[shuffled]))]
    assigned = np.empty(len(strata), dtype=np.int64)
    assigned[order] = np.arange(len(strata)) % folds
    return assigned


def cross_validate(
    candidate: Candidate,
    shape: Shape,
    rows: NDArray[Any],
    goal: Goal,
    assigned: Integers,
    seed: int,
    primary: Metric,
) -> Tried:
    """The candidate's answer for every row, each by a fit on the other folds only."""
    folds = [assigned == fold for fold in range(int(assigned.max()) + 1)]
    parts = []
    for unseen in folds:
        fitted = candidate.build(shape, seed).fit(rows[~unseen], goal.target[~unseen])
        parts.append((unseen, goal.answers(fitted, rows[unseen])))
    answers = np.zeros((len(rows), parts[0][1].shape[1]))
    for unseen, part in parts:
        answers[unseen] = part
    headline = next(metric for metric in goal.metrics if metric.name == goal.headline)
    return Tried(
        candidate, answers, _per_fold(primary, goal, answers, folds), _per_fold(headline, goal, answers, folds)
    )


def _per_fold(metric: Metric, goal: Goal, answers: Doubles, folds: Sequence[NDArray[np.bool_]]) -> tuple[float, ...]:
    measured = [metric.measure(goal.side(answers[rows], rows)) for rows in folds]
    return tuple(one.value if one else float("nan") for one in measured)


def best(tried: Sequence[Tried], primary: Metric) -> Tried:
    """The one with the best mean of the primary metric over the folds; the first of equals, and of unknown ones."""
    sign = 1 if primary.higher_is_better else -1
    return max(tried, key=lambda one: -np.inf if np.isnan(one.score) else sign * one.score)
