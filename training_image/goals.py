"""What is learnt: labels or numbers. All that differs between the two stands here, and nobody else asks which it is.

target column ─┬ texts, or few whole numbers ─► Labels   probabilities [rows, labels]
               └ other numbers ───────────────► Numbers  values [rows, 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.evaluation import Task
from training_image.errors import BadData, Untrainable
from training_image.metrics import CLASSIFICATION, Codes, Doubles, Metric, Side, aligned
from training_image.regression_metrics import REGRESSION, Values
from training_image.rows import Table

MAX_LABELS = 500
"""A target with more different values is a number or an identifier, not a class; and the labels travel in an event."""
MAX_LABEL_BYTES = 64
"""Keeps all labels together within an event."""
MAX_INFERRED_NUMBERS = 20
"""Up to so many different whole numbers are taken for labels, unless the settings say otherwise."""
VALUE_STRATA = 5

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """A classification: `names` are the labels in order, `target` [rows] the place of each row's in them."""

    names: tuple[str, ...]
    target: Codes

    task: Task = "classification"
    metrics: tuple[Metric, ...] = CLASSIFICATION
    headline: str = "accuracy"

    @property
    def strata(self) -> Codes:
        """What every fold should have its share of [rows]."""
        return self.target

    def answers(self, fitted: Any, rows: NDArray[Any]) -> Doubles:
        """Probabilities [rows, labels]; zero for a label that the fit has not seen."""
        probabilities = np.zeros((len(rows), len(self.names)))
        probabilities[:, fitted.classes_] = fitted.predict_proba(rows)
        return probabilities

    def side(self, answers: Doubles, rows: Rows) -> Side:
        """Some rows' answers beside the truth."""
        return Side(self.target[rows], answers)

    def pair(self, challenger: Doubles, rival: Doubles, rival_labels: Sequence[str], rows: Rows) -> tuple[Side, Side]:
        """Both models' answers to some rows over all labels that either of them knows."""
        known = tuple(rival_labels)
        labels = tuple(sorted({*self.names, *known}))
        truth = np.searchsorted(np.array(labels, dtype=object), np.array(self.names, dtype=object)[self.target[rows]])
        return Side(truth, aligned(challenger, self.names, labels)), Side(truth, aligned(rival, known, labels))

    @cached_property
    def _shares(self) -> Doubles:
        shares: Doubles = np.bincount(self.target, minlength=len(self.names)) / len(self.target)
        return shares

    @property
    def constant_answer(self) -> str:
        """The commonest label; of equally common ones the first in order."""
        return self.names[int(self._shares.argmax())]

    def constant(self, rows: int) -> Doubles:
        """The labels' shares for each row: the best answer that looks at no feature."""
        return np.tile(self._shares, (rows, 1))


@dataclass(frozen=True)
class Numbers:
    """A regression: `target` [rows] in its own unit."""

    target: Doubles

    names: tuple[str, ...] = ()
    task: Task = "regression"
    metrics: tuple[Metric, ...] = REGRESSION
    headline: str = "r2"

    @cached_property
    def strata(self) -> Codes:
        """A fifth of the values each [rows], so that every fold has its share of small and great ones."""
        edges = np.quantile(self.target, np.arange(1, VALUE_STRATA) / VALUE_STRATA)
        strata: Codes = np.searchsorted(edges, self.target).astype(np.int64)
        return strata

    def answers(self, fitted: Any, rows: NDArray[Any]) -> Doubles:
        """Values [rows, 1]."""
        return np.asarray(fitted.predict(rows), dtype=np.float64).reshape(-1, 1)

    def side(self, answers: Doubles, rows: Rows) -> Values:
        """Some rows' answers beside the truth."""
        return Values(self.target[rows], answers[:, 0])

    def pair(
        self, challenger: Doubles, rival: Doubles, _rival_labels: Sequence[str], rows: Rows
    ) -> tuple[Values, Values]:
        """Both models' answers to some rows."""
        return self.side(challenger, rows), self.side(rival, rows)

    @property
    def constant_answer(self) -> str:
        """The mean."""
        return f"{self.target.mean():.6g}"

    def constant(self, rows: int) -> Doubles:
        """The mean for each row: the best answer that looks at no feature."""
        return np.full((rows, 1), self.target.mean())


Goal = Labels | Numbers


def goal_of(table: Table, target: str, wanted: Task | None) -> Goal:
    """What is learnt from the table's target; `wanted` none has it inferred.

    Raises BadData for rows without a target or with one that is no number where numbers are wanted, Untrainable for a
    target that nothing can be learnt about.
    """
    values = _values(table.target)
    task = wanted or _inferred(values)
    _raise(BadData, list(_wrong_cells(table, target, task, values)))
    goal: Goal = _labels(table) if task == "classification" else Numbers(values if values is not None else np.empty(0))
    _raise(Untrainable, list(_unlearnable(table, target, goal)))
    return goal


def metric_of(goal: Goal, wanted: str) -> Metric:
    """The primary metric; Untrainable if the settings name one that this task does not have."""
    found = [metric for metric in goal.metrics if metric.name == wanted] if wanted else [goal.metrics[0]]
    if not found:
        known = ", ".join(metric.name for metric in goal.metrics)
        raise Untrainable([f"decision.primary: a {goal.task} has no metric {wanted!r}, only {known}"])
    return found[0]


def _labels(table: Table) -> Labels:
    names, codes = np.unique(table.target, return_inverse=True)
    return Labels(tuple(names.tolist()), codes.astype(np.int64))


def _values(cells: NDArray[np.object_]) -> Doubles | None:
    """The target as numbers [rows]; none if any filled cell is something else."""
    try:
        values = np.array([float(cell) if cell and "_" not in cell else np.nan for cell in cells], dtype=np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values[cells != ""]).all() else None


def _inferred(values: Doubles | None) -> Task:
    if values is None or not len(values):
        return "classification"
    known = values[~np.isnan(values)]
    whole = bool((known == np.round(known)).all())
    return "classification" if whole and len(np.unique(known)) <= MAX_INFERRED_NUMBERS else "regression"


def _wrong_cells(table: Table, target: str, task: Task, values: Doubles | None) -> Iterator[str]:
    missing = int((table.target == "").sum())
    if missing:
        yield f"{missing} of {len(table.target)} rows have no target {target!r}"
        different = set(table.target.tolist()) - {""}
        if len(different) == 1:
            yield f"every other row has the same target {target!r}: {next(iter(different))[:MAX_LABEL_BYTES]!r}"
    if task == "regression" and values is None:
        yield f"target {target!r} holds what is no number, and a regression is wanted"


def _unlearnable(table: Table, target: str, goal: Goal) -> Iterator[str]:
    if not table.judged.any():
        yield "the new window has no rows"
    different = np.unique(goal.target)
    if len(different) == 1:
        yield f"every row has the same target {target!r}: {str(table.target[0])[:MAX_LABEL_BYTES]!r}"
    if len(goal.names) > MAX_LABELS:
        yield f"target {target!r} has {len(goal.names)} different labels, at most {MAX_LABELS} are allowed"
    if any(len(label.encode()) > MAX_LABEL_BYTES for label in goal.names):
        yield f"target {target!r} has a label longer than {MAX_LABEL_BYTES} bytes"
    if goal.task == "classification" and len(different) > 1 and (np.bincount(goal.strata) >= 2).sum() < 2:
        yield "at least two labels need at least two rows each"


def _raise(kind: type[BadData] | type[Untrainable], reasons: list[str]) -> None:
    if reasons:
        raise kind(reasons)
