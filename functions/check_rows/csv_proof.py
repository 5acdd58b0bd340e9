"""Proves that no cell of a stretch of CSV records breaks a rule, without looking at them one by one.

It may always fail to prove what is true, and then the rows are looked at; what it proves is true.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import polars as pl
from csv_pattern import is_found
from row_rules import ColumnRule

from shared.tables.cells import MAX_CELL_CHARACTERS
from shared.tables.forms import BOM, Dialect


class Proof:
    """What has to be true of the cells of each column, for texts of one width and one state of the rules."""

    def __init__(self, rules: Sequence[ColumnRule], dialect: Dialect) -> None:
        self._dialect = dialect
        self._odd = _odd(dialect)
        self._schema = {_name(place): _type(rule) for place, rule in enumerate(rules)}
        self._numbers = [place for place, kind in enumerate(self._schema.values()) if kind == pl.Float64]
        conditions = [one for place, rule in enumerate(rules) for one in _conditions(_name(place), rule)]
        self._told = [
            pl.len().alias("rows"),
            pl.all_horizontal(pl.lit(True), *conditions).alias("good"),
            *(pl.col(_name(place)).count().alias(_name(place)) for place in self._numbers),
        ]
        self._whole: list[str] | None = None

    def holds(self, text: bytes, records: int, longest: int) -> frozenset[int] | None:
        """The places of columns that were seen to hold numbers, if every cell of the records is good; else None."""
        if longest > MAX_CELL_CHARACTERS or b"\0" in text or not (text.isascii() or _is_utf8(text)):
            return None
        if text.startswith(BOM) or is_found(self._odd, text, 0, len(text)):
            return None
        found = self._quickly(text)
        if found is None or found["rows"] != records or not found["good"]:
            return None
        return frozenset(place for place in self._numbers if found[_name(place)])

    def _quickly(self, text: bytes) -> dict[str, Any] | None:
        """What is told of the text. Columns that began with whole numbers are read as such, which is quicker."""
        found = self._read(text, self._whole, self._told) if self._whole else None
        if found is not None:
            return found
        told = self._told if self._whole is not None else [*self._told, *map(_is_whole, self._numbers)]
        found = self._read(text, (), told)
        if found is not None:
            beginning = [_name(place) for place in self._numbers if found.get(f"{_name(place)} is whole")]
            self._whole = beginning if self._whole is None else []
        return found

    def _read(self, text: bytes, whole: Sequence[str], told: Sequence[pl.Expr]) -> dict[str, Any] | None:
        """None if some cell is not of its column's type."""
        try:
            return (
                pl.scan_csv(
                    text,
                    has_header=False,
                    schema={**self._schema, **dict.fromkeys(whole, pl.Int64)},
                    separator=self._dialect.delimiter,
                    quote_char=self._dialect.quote,
                )
                .select(told)
                .collect(engine="streaming")
                .to_dicts()[0]
            )
        except pl.exceptions.PolarsError:
            return None


def _odd(dialect: Dialect) -> str:
    """What polars takes for something else than Python does: a cell of blanks for an empty one, marks for letters."""
    ends = re.escape(dialect.delimiter) + re.escape(dialect.quote)
    blanks = "".join(blank for blank in (" ", "\t") if blank != dialect.delimiter)
    return rf"[\x0b\x0c\x1c-\x1f]|(?:\A|[{ends}\n])[{blanks}]+(?:[{ends}\r\n]|\z)"


def _is_whole(place: int) -> pl.Expr:
    """Whether there are numbers, and all are whole."""
    column = pl.col(_name(place))
    return ((column.count() > 0) & (column == column.floor()).all()).alias(f"{_name(place)} is whole")


def _name(place: int) -> str:
    return f"column_{place + 1}"


def _type(rule: ColumnRule) -> pl.DataType | type[pl.DataType]:
    return pl.Float64 if rule.kind == "number" and not rule.allowed else pl.String


def _conditions(name: str, rule: ColumnRule) -> list[pl.Expr]:
    column = pl.col(name)
    conditions: list[pl.Expr] = []
    if rule.filled:
        conditions.append(column.null_count() == 0)
    if rule.allowed:
        good = [cell for cell in rule.allowed if rule.allows(cell)]
        return [*conditions, (column.is_in(good) | column.is_null()).all()]
    if rule.kind == "number":
        conditions.append(column.is_finite().all())
    elif rule.filled:
        conditions.append((column.str.strip_chars().str.len_bytes() > 0).all())
    if rule.minimum is not None:
        conditions.append((column.min() >= rule.minimum) | (column.count() == 0))
    if rule.maximum is not None:
        conditions.append((column.max() <= rule.maximum) | (column.count() == 0))
    return conditions


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
