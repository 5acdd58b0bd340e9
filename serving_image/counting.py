"""Counts rows and answers on the baseline's bins, some hundreds at a time: one by one would cost more than answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serving_image.answering import Answered
from shared.distributions import Baseline, Distributions
from shared.served_model import Row, Signature

_HELD_ROWS = 256  # counted together in well under a millisecond, so that no answer waits for it


class BinCounts:
    """What was asked and answered since the last `take`; nothing without a baseline."""

    def __init__(self, signature: Signature, baseline: Baseline | None) -> None:
        self._id = baseline.id if baseline else None
        numbers, texts = signature.names("number"), signature.names("text")
        self._numbers = {name: place for place, name in enumerate(numbers)}
        self._texts = {name: place for place, name in enumerate(texts, len(numbers))}
        self._features = {
            name: spread
            for name, spread in (baseline.features if baseline else {}).items()
            if name in (self._numbers if spread.numeric else self._texts)
        }
        self._predictions = dict(baseline.predictions) if baseline else {}
        self._rows: list[Row] = []
        self._answered: list[Answered] = []
        self._counted = Distributions()

    def add(self, rows: Sequence[Row], answered: Answered) -> None:
        """Counts answered rows."""
        if self._id is None:
            return
        self._rows += rows
        self._answered.append(answered)
        if len(self._rows) >= _HELD_ROWS:
            self._count()

    def take(self) -> Distributions:
        """The counts so far; the next begin at zero."""
        if self._rows:
            self._count()
        taken, self._counted = self._counted, Distributions()
        return taken

    def _count(self) -> None:
        cells = self._cells()
        told = {name: np.concatenate([each.told[name] for each in self._answered]) for name in self._answered[0].told}
        self._counted += Distributions(
            self._id,
            {name: spread.counted(cells[name]) for name, spread in self._features.items()},
            {name: spread.counted(told[name]) for name, spread in self._predictions.items() if name in told},
        )
        self._rows, self._answered = [], []

    def _cells(self) -> dict[str, Any]:
        numbers = np.concatenate([each.numbers for each in self._answered])
        columns: dict[str, Any] = {name: numbers[:, place] for name, place in self._numbers.items()}
        return columns | {name: [row[place] for row in self._rows] for name, place in self._texts.items()}
