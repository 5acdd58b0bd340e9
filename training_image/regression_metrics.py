"""Every metric of a regression, each with its influence per row: see `metrics` for what that is good for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training_image.metrics import Doubles, Measured, Metric


@dataclass(frozen=True)
class Values:
    """One model's answers [rows] beside the true values [rows], in the target's unit."""

    truth: Doubles
    answers: Doubles

    @property
    def errors(self) -> Doubles:
        return self.answers - self.truth

    def at(self, rows: NDArray[np.bool_]) -> Values:
        """The same for some of the rows."""
        return Values(self.truth[rows], self.answers[rows])


def mean_absolute_error(side: Values) -> Measured:
    per_row = np.abs(side.errors)
    return Measured(float(per_row.mean()), per_row - per_row.mean())


def root_mean_squared_error(side: Values) -> Measured:
    squares = side.errors**2
    root = float(np.sqrt(squares.mean()))
    return Measured(root, (squares - squares.mean()) / (2 * root) if root else np.zeros(len(squares)))


def r_squared(side: Values) -> Measured | None:
    """1 − Σ(error²) / Σ(distance from the mean of these rows)²; none where all true values are the same."""
    squares, distances = side.errors**2, (side.truth - side.truth.mean()) ** 2
    spread = distances.mean()
    if spread == 0:
        return None
    share = squares.mean() / spread
    return Measured(float(1 - share), (share * distances - squares) / spread)


REGRESSION = (
    Metric("mae", False, mean_absolute_error, relative=True),
    Metric("rmse", False, root_mean_squared_error, relative=True),
    Metric("r2", True, r_squared),
)
"""The first one is the primary metric unless the settings say otherwise."""
