"""From a request's JSON to rows of cells, or every reason why not."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_image.model import Kind

MAX_BODY_BYTES = 1_500_000  # what Vertex AI passes on
MAX_ROWS = 5_000
_LARGEST = 3.4028234663852886e38  # of a 32-bit float, which is what the graph takes
Cells = list[float | str]
Features = Sequence[tuple[str, Kind]]


class BadRequestError(Exception):
    """A request that cannot be answered, with the reasons of every bad row."""

    def __init__(self, error: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.rows = list(rows)


@dataclass(frozen=True)
class Asked:
    """A decoded request."""

    rows: list[Cells]
    wants_probabilities: bool


def decode(body: bytes, features: Features) -> Asked:
    """The rows of `{"instances": […], "parameters": {…}}`; raises BadRequestError naming every bad row."""
    asked = _loaded(body)
    instances = asked.get("instances") if isinstance(asked, dict) else None
    if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_ROWS:
        raise BadRequestError(f"instances must be a list of 1 to {MAX_ROWS} rows")
    parameters = asked.get("parameters") or {}
    wants = isinstance(parameters, dict) and bool(parameters.get("probabilities"))
    return Asked(_rows(instances, features), wants)


def decode_row(body: bytes, features: Features) -> Asked:
    """The one row of a body that is an object of named cells; raises BadRequestError."""
    row = _loaded(body)
    if not isinstance(row, dict):
        raise BadRequestError("the request must be one object of named cells")
    return Asked(_rows([row], features), wants_probabilities=False)


def _loaded(body: bytes) -> Any:
    if len(body) > MAX_BODY_BYTES:
        raise BadRequestError(f"the request is larger than {MAX_BODY_BYTES} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the request is not JSON") from error


def _rows(instances: list[Any], features: Features) -> list[Cells]:
    rows, bad = [], []
    for index, instance in enumerate(instances):
        cells, reasons = _row(instance, features)
        rows.append(cells)
        if reasons:
            bad.append({"row": index, "reasons": reasons})
    if bad:
        raise BadRequestError(f"{len(bad)} of {len(instances)} rows cannot be read", bad)
    return rows


def _row(instance: Any, features: Features) -> tuple[Cells, list[str]]:
    if isinstance(instance, dict):
        missing = [f"{name}: missing" for name, _ in features if name not in instance]
        unknown = [f"{name}: unknown" for name in sorted(set(instance) - {name for name, _ in features})]
        if missing or unknown:
            return [], missing + unknown
        instance = [instance[name] for name, _ in features]
    if not isinstance(instance, list) or len(instance) != len(features):
        return [], [f"not an object of named cells, nor a list of {len(features)}"]
    cells: Cells = []
    reasons = []
    for (name, kind), cell in zip(features, instance, strict=True):
        value = _number(cell) if kind == "number" else _text(cell)
        if value is None:
            reasons.append(f"{name}: not a {kind}")
        else:
            cells.append(value)
    return cells, reasons


def _number(cell: Any) -> float | None:
    if cell is None or cell == "":
        return math.nan
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        return None
    return float(cell) if abs(cell) <= _LARGEST else None


def _text(cell: Any) -> str | None:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else None
