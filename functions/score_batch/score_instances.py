"""From rows of text cells to instances that the model can read, or the reasons why a row is none; pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import BadInput
from shared.tables.cells import MAX_CELL_CHARACTERS, Batch, Kind, Unreadable, is_number

MAX_ROWS = 10_000_000  # one byte each is held while results are matched with rows
MAX_CELLS = 30_000_000  # minutes of a function's nine, which reads, writes and is not to begin again
LARGEST = 3.4028234663852886e38
"""What 32 bits hold; the models calculate in them."""
_KEY = "serin_row"


@dataclass(frozen=True)
class Features:
    """The columns that a model reads, with their kinds."""

    kinds: Mapping[str, Kind]

    @property
    def key(self) -> str:
        """A name for the row's number that no column has."""
        name = _KEY
        while name in self.kinds:
            name += "_"
        return name


@dataclass(frozen=True)
class Row:
    """A row by its number from 1: an instance, or the reasons why not."""

    number: int
    cells: Sequence[str]
    instance: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


def features_of(signature: bytes) -> Features:
    """The columns in the signature that training wrote; raises BadInput when it is none."""
    try:
        return Features({each["name"]: each["type"] for each in json.loads(signature)["features"]})
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput("signature.json", ["the model's signature cannot be read"]) from error


class Splitting:
    """Goes through the batches of one file; `rows` counts what has come by."""

    def __init__(self, features: Features, optional: frozenset[str]) -> None:
        self._features = features
        self._wanted = set(features.kinds) - optional
        self.rows = 0

    def rows_of(self, batch: Batch) -> Iterator[Row]:
        """The rows of a batch; raises Unreadable where the file is more than can be scored, or ambiguous."""
        places = self._places(batch.names)
        self._wanted -= set(places)
        troubles: dict[int, list[str]] = {}
        for trouble in batch.troubles:
            troubles.setdefault(trouble.row, []).append(f"{trouble.code} {trouble.column}".rstrip())
        for place, cells in enumerate(batch.rows):
            self.rows += 1
            if place in troubles:
                yield Row(self.rows, cells, reasons=tuple(dict.fromkeys(troubles[place])))
            else:
                yield self._row(cells, places)
        if self.rows > MAX_ROWS or self.rows * len(batch.names) > MAX_CELLS:
            raise Unreadable("too-much", f"more than {MAX_ROWS} rows, or {MAX_CELLS} cells, in one file: split it")

    def close(self) -> None:
        """Says what only the whole file shows: raises BadInput for columns that never came, and for no rows."""
        if missing := sorted(self._wanted):
            raise BadInput("columns", [f"missing-column: the model reads {name!r}" for name in missing])
        if not self.rows:
            raise BadInput("rows", ["no-rows: the file holds no rows"])

    def _places(self, names: Sequence[str]) -> dict[str, int]:
        known = [name for name in names if name in self._features.kinds]
        if twice := sorted({name for name in known if known.count(name) > 1}):
            raise Unreadable("duplicate-column", f"stands more than once: {', '.join(map(repr, twice))}")
        return {name: place for place, name in enumerate(names) if name in self._features.kinds}

    def _row(self, cells: Sequence[str], places: Mapping[str, int]) -> Row:
        instance: dict[str, Any] = {self._features.key: str(self.rows)}
        reasons: list[str] = []
        for name, kind in self._features.kinds.items():
            cell = cells[places[name]] if name in places else ""
            if problem := _problem(cell, kind):
                reasons.append(f"{problem} {name}")
            else:
                instance[name] = None if not cell else float(cell) if kind == "number" else cell
        return Row(self.rows, cells, instance, tuple(reasons))


def _problem(cell: str, kind: Kind) -> str:
    if not cell:
        return ""
    if kind == "number" and not (is_number(cell) and abs(float(cell)) <= LARGEST):
        return "not-a-number"
    return "cell-too-long" if len(cell) > MAX_CELL_CHARACTERS else ""
