"""What can be wrong with a file of rows: every code, what it says, and whether it concerns a row or the file."""

import unicodedata
from dataclasses import dataclass
from typing import Any

MAX_EXAMPLES = 5
_SHOWN_CHARACTERS = 80
ROW_CODES = {
    "wrong-width": "has another number of cells than the header",
    "not-utf-8": "is not UTF-8 text",
    "not-json": "is not one JSON object with each key once",
    "nested-value": "holds a list or an object",
    "nul-character": "holds a NUL character",
    "cell-too-long": "is longer than a cell may be",
    "missing-target": "is empty, but it is the target",
    "missing-value": "is empty",
    "not-a-number": "is not a finite number",
    "below-minimum": "is below the minimum",
    "above-maximum": "is above the maximum",
    "not-allowed": "is none of the allowed values",
    "duplicate-key": "repeats the unique columns of an earlier row",
}
FILE_CODES = {
    "too-large": "is larger than the settings allow",
    "too-many-rows": "holds more rows than the settings allow",
    "too-many-columns": "holds too many columns",
    "column-name-too-long": "has a name that is too long",
    "duplicate-column": "stands more than once",
    "missing-column": "is missing",
    "type-changed": "held numbers and holds none any more, or its type is another than it was",
    "not-cells": "holds lists, structures or bytes",
    "not-checked": "has too many rows for the unique columns to be checked",
    "no-rows": "holds no rows",
    "empty-file": "holds nothing",
    "too-many-bad-rows": "holds more bad rows than can be written aside",
    "hopeless": "holds so many bad rows that reading stopped",
    "too-slow": "cannot be read in time: too much of it is out of the ordinary, or not CSV",
    "wrong-format": "is not what its name says",
    "not-csv": "cannot be read as CSV from some row on",
    "unclosed-quote": "has a quote that is never closed",
    "record-too-long": "holds a record that is too long",
    "truncated-gzip": "ends within a gzip member",
    "damaged-gzip": "is damaged",
    "gzip-bomb": "unpacks to far more than rows do",
    "truncated-parquet": "does not end as Parquet does",
    "not-parquet": "has a footer that cannot be read",
    "damaged-parquet": "has pages that cannot be read",
    "gone": "was deleted before it was read",
    "no-settings": "has no settings",
}
NOTICE_CODES = {
    "new-column": "is not in the schema and is left out of training until the settings name it",
    "not-checked": FILE_CODES["not-checked"],
}


@dataclass(frozen=True)
class Problem:
    """One kind of trouble in one column: a stable code, how often, and the first rows (from 1) it was seen in."""

    code: str
    text: str = ""
    column: str = ""
    count: int = 1
    rows: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "column": self.column, "count": self.count, "rows": list(self.rows)}

    def __str__(self) -> str:
        what = f"column {shown(self.column)}" if self.column else "a row" if self.rows else "the file"
        told = self.text or {**NOTICE_CODES, **FILE_CODES, **ROW_CODES}[self.code]
        times = f", {self.count} times" if self.count > 1 else ""
        more = ", …" if self.count > len(self.rows) else ""
        where = f" (row {', '.join(map(str, self.rows))}{more})" if self.rows else ""
        return f"{self.code}: {what} {told}{times}{where}"


def shown(name: str) -> str:
    """A name from outside as people may be shown it: short, quoted, and without characters that steer a terminal."""
    cut = name if len(name) <= _SHOWN_CHARACTERS else name[: _SHOWN_CHARACTERS - 1] + "…"
    return "'" + "".join(each if unicodedata.category(each)[0] != "C" else f"\\u{ord(each):04x}" for each in cut) + "'"
