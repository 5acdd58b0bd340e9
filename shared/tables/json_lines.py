"""JSON Lines as rows of text cells: one object per line, its values scalars, a key that is missing a missing value."""

import json
from collections.abc import Iterator
from typing import Any

from shared.tables.cells import MAX_BATCH_CELLS, MAX_COLUMNS, Batch, Trouble, Unreadable, as_cell


class JsonLines:
    """Reads lines; `names` grows with every key that was not seen before, in the order of their coming."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        return list(self._places)

    def batches(self, lines: bytes) -> Iterator[Batch]:
        """The rows of complete lines, blank ones left out; raises Unreadable when there are too many keys."""
        rows: list[list[str]] = []
        troubles: list[Trouble] = []
        for line in lines.split(b"\n"):
            if not line.strip():
                continue
            row, found = self._row(len(rows), line)
            rows.append(row)
            troubles += found
            if len(rows) * (len(self._places) + 1) >= MAX_BATCH_CELLS:
                yield self._batch(rows, troubles)
                rows, troubles = [], []
        if rows:
            yield self._batch(rows, troubles)

    def _batch(self, rows: list[list[str]], troubles: list[Trouble]) -> Batch:
        width = len(self._places)
        return Batch(self.names, [row + [""] * (width - len(row)) for row in rows], troubles)

    def _row(self, place: int, line: bytes) -> tuple[list[str], list[Trouble]]:
        value = _decoded(line)
        if not isinstance(value, dict):
            return [], [Trouble(place, "not-json")]
        row, troubles = [""] * len(self._places), []
        for name, cell in value.items():
            at = self._place(name)
            row += [""] * (at + 1 - len(row))
            if isinstance(cell, dict | list):
                troubles.append(Trouble(place, "nested-value", name))
            else:
                row[at] = as_cell(cell)
        return row, troubles

    def _place(self, name: str) -> int:
        at = self._places.setdefault(name, len(self._places))
        if at >= MAX_COLUMNS:
            raise Unreadable("too-many-columns", f"more than {MAX_COLUMNS} columns")
        return at


def _decoded(line: bytes) -> Any:
    """The value on a line, numbers as they are written; None if it is no JSON."""
    try:
        text = line.decode()
        value = json.loads(text, parse_int=str, parse_float=str, parse_constant=_refused, object_pairs_hook=_once)
    except (ValueError, RecursionError):  # not UTF-8 and not JSON are both ValueErrors
        return None
    return None if "\\u" in text and not _is_unicode(value) else value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refused(name: str) -> None:
    raise ValueError(name)


def _is_unicode(value: Any) -> bool:
    """Whether no escape was half of a pair: such a text could not be written down again."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
