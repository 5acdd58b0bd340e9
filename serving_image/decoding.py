"""From a request's JSON to rows of cells, or every reason why not, row by row.

What is right is decoded by a decoder made for the signature's types, many times faster than looking at each cell in
Python. Only what it refuses is read again cell by cell, to tell which rows are bad and why, and to answer the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any

import msgspec

from shared.served_model import Cell, Kind, Row, Signature

LARGEST = 3.4028234663852886e38
"""What 32 bits hold; the models calculate in them."""
_MOST_REASONS = 10  # of one row: who sends a row of other columns needs no list of all two thousand
_NAME_CHARACTERS = 80


class BadRequestError(Exception):
    """A request of which nothing can be answered, with the reasons of every bad row."""

    def __init__(self, error: str, rows: Sequence["BadRow"] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.rows = rows


class BadRow(msgspec.Struct, frozen=True):
    """Why the row at an index of the request is not answered."""

    row: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A decoded request: the good rows in their order, and the bad ones."""

    rows: list[Row]
    bad: Sequence[BadRow] = ()
    wants_probabilities: bool = False


class Decoder:
    """Decodes requests for one signature."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self._signature = signature
        self._max_rows = max_rows
        self._in_signature = [name for name, _ in signature.features]
        numbers, texts = signature.names("number"), signature.names("text")
        self._ordered: list[tuple[str, Kind]] = [
            *((name, "number") for name in numbers),
            *((name, "text") for name in texts),
        ]
        row, listed = _types(signature, self._ordered)
        self._row_type = row
        self._row: msgspec.json.Decoder[Any] = msgspec.json.Decoder(row)
        self._request: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_request_type(row, listed))
        self._place = itemgetter(*(self._in_signature.index(name) for name, _ in self._ordered), 0)

    def request(self, body: bytes) -> Asked:
        """The rows of `{"instances": […], "parameters": {…}}`; raises BadRequestError when there is no good one."""
        try:
            asked = self._request.decode(body)
        except (ValueError, RecursionError):
            return self._slowly(body)
        self._check_count(len(asked.instances))
        rows = [
            msgspec.structs.astuple(row) if type(row) is self._row_type else self._placed(row)
            for row in asked.instances
        ]
        return Asked(rows, (), asked.parameters is not None and _wants_probabilities(asked.parameters))

    def row(self, body: bytes) -> Asked:
        """The one row that an object of named cells is; raises BadRequestError when it is bad."""
        try:
            return Asked([msgspec.structs.astuple(self._row.decode(body))])
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
            row = _parsed(body)
            if not isinstance(row, dict):
                raise BadRequestError("the request must be one object of named cells") from None
            return self._of([row])

    def _slowly(self, body: bytes) -> Asked:
        asked = _parsed(body)
        instances = asked.get("instances") if isinstance(asked, dict) else None
        if not isinstance(instances, list):
            raise BadRequestError(f"instances must be a list of 1 to {self._max_rows} rows")
        self._check_count(len(instances))
        return self._of(instances, _wants_probabilities(asked.get("parameters")))

    def _check_count(self, rows: int) -> None:
        if not 1 <= rows <= self._max_rows:
            raise BadRequestError(f"instances must be a list of 1 to {self._max_rows} rows")

    def _of(self, instances: list[Any], wants_probabilities: bool = False) -> Asked:
        rows, bad = [], []
        for index, instance in enumerate(instances):
            cells, reasons = self._read(instance)
            if reasons:
                bad.append(BadRow(index, _shortened(reasons)))
            else:
                rows.append(cells)
        if not rows:
            raise BadRequestError(f"{len(bad)} of {len(instances)} rows cannot be read", bad)
        return Asked(rows, bad, wants_probabilities)

    def _read(self, instance: Any) -> tuple[Row, list[str]]:
        names = self._in_signature
        if isinstance(instance, list) and len(instance) == len(names):
            instance = dict(zip(names, instance, strict=True))
        if not isinstance(instance, dict):
            return (), [f"not an object of named cells, nor a list of {len(names)}"]
        reasons = [f"{name}: missing" for name in names if name not in instance]
        reasons += [f"{_shown(name)}: unknown" for name in sorted(set(instance) - set(names))]
        cells: list[Cell] = []
        for name, kind in self._ordered:
            cell = instance.get(name)
            try:
                cells.append(_number(cell) if kind == "number" else _text(cell))
            except ValueError:
                reasons.append(f"{name}: not a {kind}")
        return tuple(cells), reasons

    def _placed(self, listed: Sequence[Cell]) -> Row:
        placed: Row = self._place(listed)[:-1]
        return placed


def _types(signature: Signature, ordered: Sequence[tuple[str, Kind]]) -> tuple[Any, Any]:
    """A row by name, and a row by place, as types that a decoder checks while it reads."""
    cells: Mapping[Kind, Any] = {
        "number": Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)] | None,
        "text": str | None,
    }
    # Fields cannot have names that JSON escapes: then no named row is of this type, and each is read cell by cell.
    named = ordered if all(json.dumps(name, ensure_ascii=False) == f'"{name}"' for name, _ in ordered) else ()
    row = msgspec.defstruct(
        "Row",
        [(f"f{place}", cells[kind]) for place, (_, kind) in enumerate(named)],
        rename={f"f{place}": name for place, (name, _) in enumerate(named)},
        forbid_unknown_fields=True,
        gc=False,
    )
    return row, tuple[tuple(cells[kind] for _, kind in signature.features)]  # type: ignore[misc]


def _request_type(row: Any, listed: Any) -> Any:
    return msgspec.defstruct("Request", [("instances", list[row | listed]), ("parameters", Any, None)])


def _wants_probabilities(parameters: Any) -> bool:
    return isinstance(parameters, dict) and bool(parameters.get("probabilities"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the request is not JSON") from error


def _number(cell: Any) -> float | None:
    """The number; None for a missing one: null or an empty text."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise ValueError
    if not -LARGEST <= cell <= LARGEST:  # nor is NaN, which some programs write
        raise ValueError
    return float(cell)


def _text(cell: Any) -> str | None:
    if cell is not None and not isinstance(cell, str):
        raise ValueError
    if cell is not None:
        cell.encode()  # half a surrogate pair is no text; its error is a ValueError
    return cell


def _shown(name: str) -> str:
    """The beginning of a name that a client chose, as an answer can carry it: JSON allows half a surrogate pair."""
    return name[:_NAME_CHARACTERS].encode(errors="backslashreplace").decode()


def _shortened(reasons: list[str]) -> tuple[str, ...]:
    more = len(reasons) - _MOST_REASONS
    return (*reasons[:_MOST_REASONS], f"and {more} more") if more > 0 else tuple(reasons)
