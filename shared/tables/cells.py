"""What a cell is and what a row is, so that whoever reads a file decides alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from shared.errors import SerinError

MAX_CELL_CHARACTERS = 1 << 20  # a longer cell is a file with a lost quote
MAX_COLUMNS = 10_000
MAX_RECORD_BYTES = 16 << 20  # held in memory whole; a longer one is a lost quote, or meant to harm
MAX_BATCH_CELLS = 100_000  # about 10 MB of Python's strings
Kind = Literal["number", "text"]


class Unreadable(SerinError):
    """A file that cannot be read from some place on; `code` is stable, `text` is for people and quotes no cell."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")


@dataclass(frozen=True)
class Trouble:
    """What is wrong with one row as such, before any rule; `row` is its place in the batch, from 0."""

    row: int
    code: str
    column: str = ""


@dataclass(frozen=True)
class Batch:
    """Some rows, each a cell of text for each name; "" is a missing value. A row in trouble may have another length."""

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    troubles: Sequence[Trouble] = ()


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number: what Python reads as one, in ASCII and without underscores."""
    try:
        return isfinite(float(cell)) and "_" not in cell and cell.isascii()
    except ValueError:
        return False


def as_cell(value: Any) -> str:
    """The text of a value that came typed: missing values and NaN are empty, whole numbers have no decimal point."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return str(value)
