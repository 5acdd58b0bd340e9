"""What training has seen the challenger answer, and whether what it answers now is the same."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import BadInput

TOLERANCE = 1e-4  # of a probability: training's own, calculating in 32 bits rounds less than this
MAX_PROBLEMS = 20  # a model that answers everything wrongly is known by a few of its answers


class Golden(BaseModel):
    """Rows with the answers that training got, and rows that must be refused, each with the reason.

    The answers are probabilities [rows, labels] with their labels, or the values [rows] of a regression.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    rows: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]
    probabilities: tuple[Annotated[tuple[float, ...], Field(min_length=1)], ...] = ()
    labels: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    bad_rows: tuple[tuple[dict[str, Any], str], ...] = ()

    @model_validator(mode="after")
    def _one_answer_per_row(self) -> "Golden":
        answers = (len(self.values),) if self.values else (len(self.probabilities), len(self.labels))
        if any(count != len(self.rows) for count in answers):
            raise ValueError("rows and their answers differ in number")
        return self


def read_golden(text: bytes) -> Golden:
    """The golden rows in an artefact; raises BadInput with every problem."""
    try:
        return Golden.model_validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_input=False)
        raise BadInput("golden.json", [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems]) from error


def differences(golden: Golden, predictions: Sequence[Any]) -> tuple[str, ...]:
    """Every way in which predictions differ from the golden ones, at most `MAX_PROBLEMS`; none if they are the same.

    The same: every probability within the tolerance, and the same label unless the two best are that close themselves;
    or every value within the tolerance's share of the largest.
    """
    if len(predictions) != len(golden.rows):
        return (f"{len(predictions)} answers to {len(golden.rows)} rows",)
    problems = [_problem(golden, row, prediction) for row, prediction in enumerate(predictions)]
    return tuple(f"row {row}: {problem}" for row, problem in enumerate(problems) if problem)[:MAX_PROBLEMS]


def _problem(golden: Golden, row: int, prediction: Any) -> str:
    if golden.values:
        return _other_value(golden.values[row], max(map(abs, golden.values)), prediction)
    return _difference(golden.labels[row], golden.probabilities[row], prediction)


def _other_value(expected: float, largest: float, prediction: Any) -> str:
    actual = prediction.get("value") if isinstance(prediction, dict) else None
    if not isinstance(actual, int | float) or not _is_number(actual):
        return "not a value"
    return "" if abs(actual - expected) <= TOLERANCE * largest else f"{actual:g} instead of {expected:g}"


def _difference(label: str, expected: Sequence[float], prediction: Any) -> str:
    actual = prediction.get("probabilities") if isinstance(prediction, dict) else None
    if not isinstance(actual, list) or len(actual) != len(expected) or not all(map(_is_number, actual)):
        return f"not {len(expected)} probabilities"
    largest = max(abs(one - other) for one, other in zip(expected, actual, strict=True))
    if largest > TOLERANCE:
        return f"a probability differs by {largest:.6f}"
    if prediction.get("label") != label and not _close_call(expected):
        return f"label {str(prediction.get('label'))[:40]!r} instead of {label!r}"
    return ""


def _close_call(expected: Sequence[float]) -> bool:
    best = sorted(expected)[-2:]
    return best[-1] - best[0] <= TOLERANCE


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
