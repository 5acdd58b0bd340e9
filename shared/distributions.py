"""How cells and predictions are spread over fixed bins: in training once (the baseline), then in every interval.

    numbers on edges e0 < … < ek, k+3 counts:   below e0 │ [e0, e1) │ … │ [ek-1, ek) │ ek and above │ missing
    texts among values v0 … vk, k+3 counts:     v0 │ v1 │ … │ vk │ another │ missing

Training writes `baseline.json` beside the model, the serving image counts on its bins, drift is measured between the
two: what is counted where is decided here, once. Numbers are counted as the models see them, in 32 bits. Counts on the
bins of one baseline can be added up in any order; on other bins they say nothing, so a report names its baseline.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from shared.errors import BadInput

if TYPE_CHECKING:  # who only adds up starts without numpy, who only counts without the catalogue of events
    from numpy.typing import ArrayLike

    from shared.events import EvidenceReported

MAX_COUNTS = 100_000
"""Of a whole baseline: each report carries as many."""

LABEL, PROBABILITY, VALUE, ANOMALY_SCORE = "label", "probability", "value", "anomaly_score"
"""The predictions that are counted: label and its probability, or a regression's value; the anomaly model's score."""

Edges = tuple[float, ...]
Values = tuple[str, ...]


@dataclass(frozen=True)
class Spread:
    """One column over its bins, which are edges of numbers or values of texts."""

    bins: Edges | Values
    counts: tuple[int, ...]

    @property
    def numeric(self) -> bool:
        """Whether the bins are edges."""
        return not isinstance(self.bins[0], str)

    def counted(self, cells: Any) -> tuple[int, ...]:
        """How many of other cells [rows] fall into the same bins: numbers on edges, texts (or None) among values."""
        return on_edges(cells, self.bins) if self.numeric else on_values(cells, self.bins)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        return {"edges" if self.numeric else "values": list(self.bins), "counts": list(self.counts)}


@dataclass(frozen=True)
class Baseline:
    """How each feature and prediction was spread in training; the id is that of the bytes that were kept."""

    id: str
    features: Mapping[str, Spread]
    predictions: Mapping[str, Spread]

    @staticmethod
    def parse(content: bytes) -> Baseline:
        """The baseline in `baseline.json`; raises BadInput with every reason why it is none."""
        reasons: list[str] = []
        try:
            kept = json.loads(content)
            features = _spreads(kept["features"], reasons)
            predictions = _spreads(kept.get("predictions", {}), reasons)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadInput("baseline", [f"not spreads of columns: {type(error).__name__}"]) from error
        if sum(len(each.counts) for each in (*features.values(), *predictions.values())) > MAX_COUNTS:
            reasons.append(f"more than {MAX_COUNTS} counts")
        if reasons:
            raise BadInput("baseline", reasons)
        return Baseline(hashlib.sha256(content).hexdigest()[:16], features, predictions)


def baseline_json(features: Mapping[str, Spread], predictions: Mapping[str, Spread]) -> bytes:
    """The content of `baseline.json`: of each column its bins ("edges" or "values") and counts."""
    kept = {
        "format": 1,
        "features": {name: each.to_json() for name, each in features.items()},
        "predictions": {name: each.to_json() for name, each in predictions.items()},
    }
    return json.dumps(kept, indent=1, allow_nan=False).encode()


def on_edges(cells: ArrayLike, edges: Edges) -> tuple[int, ...]:
    """How many numbers are in each bin, [rows] → [edges + 2]; NaN is missing."""
    import numpy as np

    numbers = np.asarray(cells, dtype=np.float32)
    places = np.searchsorted(np.array(edges, dtype=np.float64), numbers, side="right")
    places[np.isnan(numbers)] = len(edges) + 1
    return tuple(np.bincount(places, minlength=len(edges) + 2).tolist())


def on_values(cells: Iterable[str | None], values: Values) -> tuple[int, ...]:
    """How many texts are each value, another, and missing (none or empty)."""
    counted = Counter(cells)
    missing = counted.pop(None, 0) + counted.pop("", 0)
    known = [counted.pop(value, 0) for value in values]
    return (*known, counted.total(), missing)


@dataclass(frozen=True)
class Distributions:
    """What was asked and answered, as counts on the bins of one baseline; nothing where `baseline` is None."""

    baseline: str | None = None
    features: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    predictions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __add__(self, other: Distributions) -> Distributions:
        """Both together; raises ValueError when they were counted on different baselines."""
        if self.baseline is None or other.baseline is None:
            return other if self.baseline is None else self
        if self.baseline != other.baseline:
            raise ValueError(f"counts on the bins of {self.baseline} and of {other.baseline} do not add up")
        return Distributions(
            self.baseline, _sum(self.features, other.features), _sum(self.predictions, other.predictions)
        )


def distributions_of(report: EvidenceReported) -> Distributions:
    """What a report says of what was asked and answered; raises BadInput when a count cannot be."""
    if any(count < 0 for counts in (*report.features.values(), *report.predictions.values()) for count in counts):
        raise BadInput("evidence", ["distributions: a count below 0"])
    return Distributions(report.baseline, dict(report.features), dict(report.predictions))


def _spreads(kept: Mapping[str, Mapping[str, Any]], reasons: list[str]) -> dict[str, Spread]:
    spreads = {}
    for name, its in kept.items():
        numeric = "edges" in its
        bins = tuple(map(float, its["edges"])) if numeric else tuple(map(str, its["values"]))
        spreads[name] = Spread(bins, tuple(map(int, its["counts"])))
        reasons += [f"{name}: {reason}" for reason in _wrong(spreads[name])]
    return spreads


def _wrong(spread: Spread) -> list[str]:
    if not spread.bins:
        return ["no bins"]
    if len(spread.counts) != len(spread.bins) + 2:
        return [f"{len(spread.counts)} counts for {len(spread.bins)} edges or values, which need two more"]
    if any(count < 0 for count in spread.counts):
        return ["a count below 0"]
    if spread.numeric:
        return [] if _ascend(spread.bins) else ["edges do not ascend"]  # type: ignore[arg-type]
    return [] if len(set(spread.bins)) == len(spread.bins) else ["a value stands twice"]


def _ascend(edges: Edges) -> bool:
    return all(map(math.isfinite, edges)) and all(one < other for one, other in pairwise(edges))


def _sum(first: Mapping[str, tuple[int, ...]], second: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(map(sum, zip(first[name], second[name], strict=True)))
        if name in first and name in second
        else (first if name in first else second)[name]
        for name in {**first, **second}
    }
