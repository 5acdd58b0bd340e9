"""What ordinary good CSV records look like, as one regular expression that an automaton holds against a whole stretch.

That is one step per byte for quotes, widths, numbers, ranges and allowed values together; to read the cells takes twice
the time or more. RE2 never goes back, so no text makes it slow. What matches is good; what does not may be so too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from math import isfinite

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from decimal_pattern import MAX_DIGITS, NOTHING, between
from row_rules import ColumnRule

from shared.tables.forms import Dialect

_MAX_CHARACTERS = 20_000  # of a pattern: what is longer takes so many states that reading the cells is as quick
_UNSIGNED = rf"(?:\d{{1,{MAX_DIGITS}}}(?:\.\d*)?|\.\d+)(?:[eE](?:\+?\d{{1,2}}|-\d+))?"  # small enough to be finite
_BELOW_ONE = r"\d(?:\.\d*)?[eE]-0*[1-9]\d*"
_IN_NUMBERS = frozenset("0123456789+-.eE ")
_BLANK = r"\s\x0b\x1c-\x1f\x85\xa0\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"


class Pattern:
    """What a stretch of good records looks like, told for each of their columns."""

    def __init__(self, columns: Sequence[str], dialect: Dialect) -> None:
        self._text = rf"\A(?:{re.escape(dialect.delimiter).join(columns)}\r?\n)*\z"

    def matches(self, text: bytes, start: int, end: int) -> bool:
        """Whether these bytes of the text are nothing but such records, in UTF-8."""
        try:
            return is_found(self._text, text, start, end)
        except pa.ArrowInvalid:  # no UTF-8, or more than an automaton can be made of
            return False


def is_found(pattern: str, text: bytes, start: int, end: int) -> bool:
    """Whether a part of a text has a pattern in it; the text is not copied. Raises ArrowInvalid if it is no UTF-8."""
    offsets = pa.py_buffer(np.array([start, end], np.int64))
    part = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(text)])
    part.validate(full=True)
    return bool(pc.match_substring_regex(part, pattern)[0].as_py())


def pattern_of(rules: Sequence[ColumnRule], seen: Collection[int], dialect: Dialect) -> Pattern | None:
    """The pattern of good records; None where it would be too long, or marks could be parts of numbers.

    `seen` are the places of columns known to hold numbers. A column of numbers in which none was seen yet has to be
    empty, so that a match never leaves open whether there was one.
    """
    bounds = [bound for rule in rules for bound in (rule.minimum, rule.maximum) if bound is not None]
    if {dialect.delimiter, dialect.quote} & _IN_NUMBERS or not all(map(isfinite, bounds)):
        return None
    cells = _Cells(dialect)
    columns, left = [], _MAX_CHARACTERS
    for place, rule in enumerate(rules):
        columns.append(cells.of(rule, place in seen or rule.kind != "number", len(rules) == 1))
        left -= len(columns[-1])
        if left < 0:
            return None
    return Pattern(columns, dialect)


class _Cells:
    """Single cells as patterns, in one dialect: bare, or between quotes that are doubled within."""

    def __init__(self, dialect: Dialect) -> None:
        self._marks = dialect.delimiter + dialect.quote
        self._quote = dialect.quote
        self._q, self._d = re.escape(dialect.quote), re.escape(dialect.delimiter)

    def of(self, rule: ColumnRule, may_be_filled: bool, alone: bool) -> str:
        """All that a cell of a column may be; one that stands alone in its record is not bare and empty."""
        choices = list(self._values(rule)) if may_be_filled else []
        if not rule.filled:
            choices += [self._q * 2, *([] if alone else [""])]
        return f"(?:{'|'.join(choices)})" if choices else NOTHING

    def _values(self, rule: ColumnRule) -> Iterator[str]:
        if rule.allowed:
            for cell in sorted(rule.allowed):
                if rule.allows(cell):
                    yield from self._exactly(cell)
        elif rule.kind == "number":
            number = f" *{_number(rule.minimum, rule.maximum)} *"
            yield from (number, f"{self._q}{number}{self._q}")
        else:
            yield from self._of_text(rule.filled)

    def _exactly(self, cell: str) -> Iterator[str]:
        if not set(cell) & {*self._marks, "\r", "\n"}:
            yield re.escape(cell)
        yield self._q + re.escape(cell.replace(self._quote, 2 * self._quote)) + self._q

    def _of_text(self, filled: bool) -> Iterator[str]:
        bare, quoted = rf"[^{self._q}{self._d}\r\n\x00]", rf"(?:[^{self._q}\x00]|{self._q * 2})"
        if not filled:
            yield from (f"{bare}+", f"{self._q}{quoted}+{self._q}")
            return
        begin = rf"[^{self._q}{self._d}\x00{_BLANK}]"
        yield from (f" *{begin}{bare}*", f"{self._q} *(?:{begin}|{self._q * 2}){quoted}*{self._q}")


def _number(lowest: float | None, highest: float | None) -> str:
    """Finite numbers within bounds, as far as decimals show that at a glance."""
    if lowest is None and highest is None:
        return rf"[-+]?{_UNSIGNED}"
    choices = []
    if highest is None or highest >= 0:
        choices.append(rf"\+?{_magnitude(max(0.0, lowest or 0.0), highest)}")
    if lowest is None or lowest <= 0:
        choices.append(f"-{_magnitude(max(0.0, -(highest or 0.0)), None if lowest is None else abs(lowest))}")
    return f"(?:{'|'.join(choices)})" if choices else NOTHING


def _magnitude(least: float, most: float | None) -> str:
    if least == 0 and most is None:
        return _UNSIGNED
    small = least == 0 and (most is None or most >= 1)
    return f"(?:{between(least, most)}{f'|{_BELOW_ONE}' if small else ''})"
