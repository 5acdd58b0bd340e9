"""How the training rows and the answers to them are spread: what drift is measured against."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from shared.distributions import (
    ANOMALY_SCORE,
    LABEL,
    PROBABILITY,
    VALUE,
    Edges,
    Spread,
    baseline_json,
    on_edges,
    on_values,
)
from training_image.goals import Goal, Labels
from training_image.metrics import Doubles
from training_image.rows import Floats, Table

BINS = 10
MAX_VALUES = 20
"""The commonest texts; the others are counted together."""


def baseline_of(table: Table, goal: Goal, answers: Doubles, anomaly_scores: Floats) -> bytes:
    """`baseline.json`: every feature over all training rows, the answers over the judged ones.

    `answers` [judged rows, outputs] are those of fits that had not seen the row: as in production, no row was seen.
    """
    numbers = zip(table.names("number"), table.numbers.T, strict=True)
    texts = zip(table.names("text"), table.texts.T, strict=True)
    features = {name: _of_numbers(column) for name, column in numbers} | {name: _of_texts(each) for name, each in texts}
    predictions = _of_answers(goal, answers) | {ANOMALY_SCORE: _of_numbers(anomaly_scores)}
    return baseline_json({feature.name: features[feature.name] for feature in table.features}, predictions)


def _of_answers(goal: Goal, answers: Doubles) -> dict[str, Spread]:
    if not isinstance(goal, Labels):
        return {VALUE: _of_numbers(answers[:, 0].astype(np.float32))}
    told = [goal.names[code] for code in answers.argmax(axis=1)]
    tenths = tuple(place / BINS for place in range(BINS + 1))
    best = answers.max(axis=1).astype(np.float32)
    return {LABEL: Spread(goal.names, on_values(told, goal.names)), PROBABILITY: Spread(tenths, on_edges(best, tenths))}


def _of_numbers(column: Floats) -> Spread:
    edges = _edges(column[~np.isnan(column)].astype(np.float64))
    return Spread(edges, on_edges(column, edges))


def _edges(known: Doubles) -> Edges:
    """A tenth of the rows between any two edges, fewer where values repeat; a column without values has one, 0."""
    if not len(known):
        return (0.0,)
    tenths = np.quantile(known, np.arange(BINS + 1) / BINS, method="inverted_cdf").tolist()
    return (tenths[0], *(edge for before, edge in pairwise(tenths) if edge > before))


def _of_texts(column: NDArray[np.object_]) -> Spread:
    values, counts = np.unique(column[column != ""], return_counts=True)
    commonest = tuple(values[np.lexsort((values, -counts))][:MAX_VALUES].tolist()) or ("",)
    return Spread(commonest, on_values(column.tolist(), commonest))
