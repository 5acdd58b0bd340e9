"""Parts of the judged rows by themselves: a model that is better on the whole may be worse for some."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.evaluation import Difference, GroupGap, SliceScore
from shared.settings import SliceSettings
from training_image.comparison import CONFIDENCE_Z
from training_image.metrics import Measured, Metric, compare
from training_image.rows import Table

MAX_SLICES_PER_COLUMN = 10
"""The commonest values; more would not fit into an event, and few of them would have enough rows."""
MAX_VALUE_CHARACTERS = 40

Rows = NDArray[np.bool_]


def slice_scores(
    table: Table, settings: SliceSettings, challenger: Any, rival: Any, primary: Metric
) -> tuple[SliceScore, ...]:
    """The primary metric of both sides on every slice of the judged rows."""
    return tuple(
        SliceScore(
            column=column,
            value=value,
            rows=int(rows.sum()),
            comparison=compare(challenger.at(rows), rival.at(rows), (primary,))[0]
            if rows.sum() >= settings.rows_min
            else None,
        )
        for column in settings.columns
        for value, rows in _parts(table, column)
    )


def group_gaps(table: Table, settings: SliceSettings, challenger: Any, headline: Metric) -> tuple[GroupGap, ...]:
    """How far the challenger's score is apart between the groups of every sensitive column."""
    return tuple(_gap(table, column, settings.rows_min, challenger, headline) for column in settings.groups)


def _gap(table: Table, column: str, rows_min: int, challenger: Any, headline: Metric) -> GroupGap:
    parts = dict(_parts(table, column))
    measured = {
        value: (measure, int(rows.sum()))
        for value, rows in parts.items()
        if rows.sum() >= rows_min and (measure := headline.measure(challenger.at(rows))) is not None
    }
    counted = {value: int(rows.sum()) for value, rows in parts.items()}
    scores = {value: measure.value for value, (measure, _) in measured.items()}
    if len(scores) < 2:
        return GroupGap(column=column, scores=scores, rows=counted)
    best, worst = max(scores, key=lambda value: scores[value]), min(scores, key=lambda value: scores[value])
    gap = _unpaired(measured[best], measured[worst])
    return GroupGap(column=column, best=best, worst=worst, scores=scores, rows=counted, gap=gap)


def _unpaired(one: tuple[Measured, int], other: tuple[Measured, int]) -> Difference:
    """One minus other on different rows, with the 95 % interval of two independent samples."""
    (first, _), (second, _) = one, other
    error = math.sqrt(sum(float(np.var(each.influence, ddof=1)) / rows for each, rows in (one, other)))
    estimate = first.value - second.value
    return Difference(estimate=estimate, low=estimate - CONFIDENCE_Z * error, high=estimate + CONFIDENCE_Z * error)


def _parts(table: Table, column: str) -> Iterator[tuple[str, Rows]]:
    """The judged rows of each value, or of each quarter of a column of numbers; every row is in exactly one part."""
    cells = table.looked_at[column][table.judged]
    if column in table.names("number"):
        numbers = table.numbers[:, table.names("number").index(column)]
        if len(np.unique(numbers[~np.isnan(numbers)])) > MAX_SLICES_PER_COLUMN:
            yield from _quarters(numbers, numbers[table.judged])
            return
    values, counts = np.unique(cells, return_counts=True)
    commonest = values[np.lexsort((values, -counts))][:MAX_SLICES_PER_COLUMN]
    for value in commonest:
        yield str(value)[:MAX_VALUE_CHARACTERS] or "missing", cells == value
    other = ~np.isin(cells, commonest)
    if other.any():
        yield "another value", other


def _quarters(all_numbers: NDArray[np.float32], judged: NDArray[np.float32]) -> Iterator[tuple[str, Rows]]:
    edges = np.unique(np.nanquantile(all_numbers, (0.25, 0.5, 0.75)))
    places = np.searchsorted(edges, judged, side="right")
    for place in range(len(edges) + 1):
        low = f"from {edges[place - 1]:.6g}" if place else ""
        high = f"below {edges[place]:.6g}" if place < len(edges) else ""
        yield f"{low} {high}".strip(), (places == place) & ~np.isnan(judged)
    if np.isnan(judged).any():
        yield "missing", np.isnan(judged)
