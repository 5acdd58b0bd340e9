"""Proves that no cell of a stretch of CSV records breaks a rule, without looking at them one by one.

It may always fail to prove what is true, and then the rows are looked at; what it proves is true.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from row_rules import ColumnRule

from shared.tables.cells import MAX_CELL_CHARACTERS, is_number
from shared.tables.forms import Dialect


class Proof:
    """What has to be true of the cells of each column, for texts of one width and one state of the rules."""

    def __init__(self, rules: Sequence[ColumnRule], dialect: Dialect) -> None:
        self._dialect = dialect
        typed = [_type(rule) for rule in rules]
        self._schema = {_name(place): kind for place, kind in enumerate(typed)}
        self._places = [place for place, rule in enumerate(rules) if rule.demands]
        conditions = [one for place in self._places for one in _conditions(_name(place), rules[place])]
        self.numbers = [place for place in self._places if typed[place] == pl.Float64]
        self._all_good = [pl.len().alias("rows"), pl.all_horizontal(pl.lit(True), *conditions).alias("good")]
        self._filled = [pl.col(_name(place)).count().alias(_name(place)) for place in self.numbers]

    def holds(self, text: bytes, records: int, longest: int) -> frozenset[int] | None:
        """The places of columns that were seen to hold numbers, if every cell of the records is good; else None."""
        if longest > MAX_CELL_CHARACTERS or b"\0" in text or not (text.isascii() or _is_utf8(text)):
            return None
        try:
            found = (
                pl.scan_csv(
                    text,
                    has_header=False,
                    schema=self._schema,
                    separator=self._dialect.delimiter,
                    quote_char=self._dialect.quote,
                )
                .select(*self._all_good, *self._filled)
                .collect(engine="streaming")
                .to_dicts()[0]
            )
        except pl.exceptions.PolarsError:
            return None
        if found["rows"] != records or not found["good"]:
            return None
        return frozenset(place for place in self.numbers if found[_name(place)])


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
        good = [cell for cell in rule.allowed if _is_good(cell, rule)]
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


def _is_good(cell: str, rule: ColumnRule) -> bool:
    """Whether a cell that is allowed keeps the column's other rules too."""
    if not cell.strip() or (rule.kind == "number" and not is_number(cell)):
        return False
    return (rule.minimum is None or float(cell) >= rule.minimum) and (
        rule.maximum is None or float(cell) <= rule.maximum
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
