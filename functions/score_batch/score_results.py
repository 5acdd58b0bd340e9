"""What the model has answered, told by the number of its row: every row is scored or bad, and once.

Vertex AI promises neither the order of the answers nor that there is one for every row.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from score_instances import Row

_TOLD = ("label", "probability", "value", "anomaly_score", "anomalous")
_OPEN, _SETTLED = 0, 1
_UNANSWERED = "unanswered: there was no answer; a job's errors are beside its results"


class Matching:
    """Matches answers with the rows of one file, of which some are known to be bad."""

    def __init__(self, rows: int, bad: Iterable[int]) -> None:
        self._rows = rows
        self._states = bytearray(rows + 1)
        for number in bad:
            self._states[number] = _SETTLED

    def taken(self, answers: Iterable[Any]) -> Iterator[tuple[int, dict[str, Any], tuple[str, ...]]]:
        """Of each answer to an open row: the row, what the model said, and the reasons if it said none."""
        for answer in answers:
            number = _number_of(answer)
            if number is None or not 1 <= number <= self._rows or self._states[number] != _OPEN:
                continue
            told, reasons = _read(answer.get("prediction"))
            if told or reasons:
                self._states[number] = _SETTLED
                yield number, told, reasons

    def unanswered(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The rows that are still open, each with the reason."""
        for number in range(1, self._rows + 1):
            if self._states[number] == _OPEN:
                yield number, (_UNANSWERED,)


def bad_line(row: Row, shown: bool) -> dict[str, Any]:
    """A row written aside; without its cells where the model has columns that are never shown."""
    return {"row": row.number, "reasons": list(row.reasons), "cells": list(row.cells) if shown else None}


def _number_of(answer: Any) -> int | None:
    key = answer.get("key") if isinstance(answer, dict) else None
    return int(key) if isinstance(key, int) or (isinstance(key, str) and key.isdecimal()) else None


def _read(prediction: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    if not isinstance(prediction, Mapping):
        return {}, ()
    error = prediction.get("error")
    if error is not None:
        said = error.get("reasons", ()) if isinstance(error, Mapping) else ()
        return {}, tuple(f"refused by the model: {reason}"[:200] for reason in said) or ("refused by the model",)
    return {name: prediction[name] for name in _TOLD if prediction.get(name) is not None}, ()
