"""Numbers that compare two sets of answers to the same rows, and how sure one may be of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.evaluation import Difference

CONFIDENCE_Z = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""
BISECTIONS = 60
"""Halves the width 2 of all possible differences to below a double's resolution."""

Right = NDArray[np.bool_]


def accuracy(truth: NDArray[np.object_], answers: NDArray[np.object_]) -> float:
    return float((truth == answers).mean())


def macro_f1(truth: NDArray[np.object_], answers: NDArray[np.object_]) -> float:
    """The mean F1 over every label that occurs in truth or answers; F1 = 2·hits / (in truth + in answers)."""
    labels, codes = np.unique(np.concatenate([truth, answers]), return_inverse=True)
    true_codes, answer_codes = codes[: len(truth)], codes[len(truth) :]
    hits = np.bincount(true_codes[true_codes == answer_codes], minlength=len(labels))
    occurrences = np.bincount(codes, minlength=len(labels))
    return float((2 * hits / occurrences).mean())


def paired_difference(right: Right, other_right: Right) -> Difference:
    """How much more often `right` than `other_right`, row by row, with Tango's 95 % score interval.

    With n rows, b right here only and c right there only, the difference Δ is accepted while
    |b − c − nΔ| ≤ z·√(n(2q + Δ(1 − Δ))), q being the likeliest chance of "right there only" given Δ. Unlike estimate
    ± z·standard error it stays honest when no or few rows differ: without any, it is ± z²/(n + z²), not ± 0.
    Source: T. Tango, Statistics in Medicine 17 (1998) 891–908, equations 22–25.
    """
    rows = len(right)
    here, there = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    if rows == 0:
        return Difference(estimate=None, low=None, high=None)
    estimate = (here - there) / rows

    def accepted(difference: float) -> bool:
        return abs(here - there - rows * difference) <= CONFIDENCE_Z * _spread(here, there, rows, difference)

    return Difference(
        estimate=estimate, low=_boundary(accepted, estimate, -1.0), high=_boundary(accepted, estimate, 1.0)
    )


def _spread(here: int, there: int, rows: int, difference: float) -> float:
    """The standard deviation of b − c under a true difference, with q from its quadratic likelihood equation."""
    linear = -here - there + (2 * rows - here + there) * difference
    constant = -there * difference * (1 - difference)
    root = math.sqrt(max(linear**2 - 8 * rows * constant, 0.0))
    there_only = (root - linear) / (4 * rows)
    return math.sqrt(max(rows * (2 * there_only + difference * (1 - difference)), 0.0))


def _boundary(accepted: Callable[[float], bool], inside: float, outside: float) -> float:
    """The end of the accepted differences between one that is accepted and the extreme one."""
    if accepted(outside):
        return outside
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
    return inside
