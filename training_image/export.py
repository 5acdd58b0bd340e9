"""From the fitted pipeline to what is served, with the proof that both answer alike.

The proof is made on every judged row, so a model that would answer differently in production ends here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_image.candidates import matrix
from training_image.errors import ExportDiffers
from training_image.onnx_model import OnnxModel
from training_image.rows import Floats, Table
from training_image.signature import Signature

TOLERANCE = 1e-4
"""The exported model calculates in 32 bits: differences of this size are rounding, greater ones are mistakes."""
GOLDEN_ROWS = 20

JsonRow = dict[str, float | str | None]


@dataclass(frozen=True)
class Check:
    """The proof: how many rows were compared, and the largest difference of a probability (at most the tolerance)."""

    rows: int
    largest_difference: float


def to_onnx(fitted: Any, signature: Signature) -> OnnxModel:
    """The fitted pipeline as ONNX with inputs "numbers" and "texts" and the one output "probabilities"."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    numbers, texts = len(signature.names("number")), len(signature.names("text"))
    inputs = [("numbers", FloatTensorType([None, numbers])), ("texts", StringTensorType([None, texts]))]
    converted = convert_sklearn(
        fitted,
        name=signature.model,
        initial_types=[one for one, width in zip(inputs, (numbers, texts), strict=True) if width],
        options={id(fitted[-1]): {"zipmap": False}},
    )
    return OnnxModel(select_model_inputs_outputs(converted, ["probabilities"]).SerializeToString(), signature)


def check(fitted: Any, exported: OnnxModel, table: Table) -> Check:
    """The proof that both answer every judged row alike; raises ExportDiffers.

    Alike: every probability within the tolerance, and the same label unless the two best are that close themselves.
    """
    numbers, texts = table.numbers[table.judged], table.texts[table.judged]
    return compare(fitted.predict_proba(matrix(numbers, texts)), exported.probabilities(numbers, texts))


def compare(expected: NDArray[np.float64], actual: Floats) -> Check:
    """The proof from the two arrays of probabilities [rows, labels]; raises ExportDiffers."""
    differences = np.abs(expected - actual).max(axis=1)
    best_two = np.sort(expected, axis=1)[:, -2:]
    close_call = best_two[:, 1] - best_two[:, 0] <= TOLERANCE
    other_label = expected.argmax(axis=1) != actual.argmax(axis=1)
    # Not "differences > TOLERANCE": a probability that is not a number must differ too.
    wrong = ~(differences <= TOLERANCE) | (other_label & ~close_call)
    if wrong.any():
        raise ExportDiffers(len(expected), int(wrong.sum()), float(differences.max()))
    return Check(rows=len(expected), largest_difference=float(differences.max()))


def golden(exported: OnnxModel, table: Table) -> dict[str, object]:
    """Up to 20 judged rows evenly spread, their answers wherever the model runs, and rows it must refuse."""
    judged = np.flatnonzero(table.judged)
    picked = judged[np.unique(np.linspace(0, len(judged) - 1, GOLDEN_ROWS).astype(int))]
    probabilities = exported.probabilities(table.numbers[picked], table.texts[picked])
    rows = [_json_row(table, int(row)) for row in picked]
    return {
        "rows": rows,
        "probabilities": probabilities.tolist(),
        "labels": [exported.signature.labels[code] for code in probabilities.argmax(axis=1)],
        "bad_rows": _bad_rows(rows[0], exported.signature),
    }


def _json_row(table: Table, row: int) -> JsonRow:
    numbers = dict(zip(table.names("number"), table.numbers[row].tolist(), strict=True))
    texts = dict(zip(table.names("text"), table.texts[row].tolist(), strict=True))
    values: dict[str, float | str] = {**numbers, **texts}
    return {
        feature.name: None if (value := values[feature.name]) != value else value  # not equal to itself: NaN
        for feature in table.features
    }


def _bad_rows(row: JsonRow, signature: Signature) -> list[list[object]]:
    first = signature.features[0].name
    bad: list[list[object]] = [[{name: value for name, value in row.items() if name != first}, f"{first}: missing"]]
    numbers = signature.names("number")
    if numbers:
        bad.append([{**row, numbers[0]: "not a number"}, f"{numbers[0]}: not a number"])
    return bad
