"""From the fitted pipeline to what is served, with the proof that both answer alike.

The proof is made on every judged row, so a model that would answer differently in production ends here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_image.errors import ExportDiffers
from training_image.goals import Goal, Labels
from training_image.onnx_model import OnnxModel
from training_image.preprocessing import matrix
from training_image.rows import Floats, Table
from training_image.signature import Signature

TOLERANCE = 1e-4
"""The exported model calculates in 32 bits: differences of this size are rounding, greater ones are mistakes."""
GOLDEN_ROWS = 20

JsonRow = dict[str, float | str | None]


@dataclass(frozen=True)
class Check:
    """The proof: how many rows were compared, and the largest difference (at most the tolerance).

    Of a probability, or of a value as a share of the largest value.
    """

    rows: int
    largest_difference: float


def to_onnx(fitted: Any, signature: Signature) -> OnnxModel:
    """The fitted pipeline as ONNX with inputs "numbers" and "texts" and the one output that the signature names."""
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    converted = convert(fitted, signature, {id(fitted[-1]): {"zipmap": False}} if signature.labels else None)
    given = "probabilities" if signature.labels else converted.graph.output[0].name
    selected = select_model_inputs_outputs(converted, [given])
    rename_output(selected, given, signature.output)
    return OnnxModel(selected.SerializeToString(), signature)


def convert(fitted: Any, signature: Signature, options: Any = None) -> Any:
    """Anything fitted on the matrix, as an ONNX model with the inputs of the signature."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    numbers, texts = len(signature.names("number")), len(signature.names("text"))
    inputs = [("numbers", FloatTensorType([None, numbers])), ("texts", StringTensorType([None, texts]))]
    wanted = [one for one, width in zip(inputs, (numbers, texts), strict=True) if width]
    with warnings.catch_warnings():
        # skl2onnx 1.20 gives a bool to an attribute of integers, about which protobuf 6 only warns.
        warnings.simplefilter("ignore")
        return convert_sklearn(fitted, name=signature.model, initial_types=wanted, options=options)


def rename_output(model: Any, name: str, wanted: str) -> None:
    """Gives a graph's output another name, wherever it is spoken of."""
    for node in model.graph.node:
        node.output[:] = [wanted if one == name else one for one in node.output]
        node.input[:] = [wanted if one == name else one for one in node.input]
    for output in model.graph.output:
        output.name = wanted if output.name == name else output.name


def check(fitted: Any, exported: OnnxModel, table: Table, goal: Goal) -> Check:
    """The proof that both answer every judged row alike; raises ExportDiffers.

    Alike: every probability within the tolerance, and the same label unless the two best are that close themselves;
    or every value within the tolerance's share of the largest.
    """
    numbers, texts = table.numbers[table.judged], table.texts[table.judged]
    expected, actual = goal.answers(fitted, matrix(numbers, texts)), exported.answers(numbers, texts)
    return same_probabilities(expected, actual) if isinstance(goal, Labels) else same_values("model", expected, actual)


def same_probabilities(expected: NDArray[np.float64], actual: Floats) -> Check:
    """The proof from the two arrays of probabilities [rows, labels]; raises ExportDiffers."""
    differences = np.abs(expected - actual).max(axis=1)
    best_two = np.sort(expected, axis=1)[:, -2:]
    close_call = best_two[:, 1] - best_two[:, 0] <= TOLERANCE
    other_label = expected.argmax(axis=1) != actual.argmax(axis=1)
    # Not "differences > TOLERANCE": a probability that is not a number must differ too.
    wrong = ~(differences <= TOLERANCE) | (other_label & ~close_call)
    return _proof("model", wrong, differences)


def same_values(what: str, expected: NDArray[np.float64], actual: Floats) -> Check:
    """The proof from two arrays of values [rows, 1]; raises ExportDiffers."""
    scale = np.abs(expected).max() or 1.0
    differences = np.abs(expected - actual).max(axis=1) / scale
    return _proof(what, ~(differences <= TOLERANCE), differences)


def _proof(what: str, wrong: NDArray[np.bool_], differences: NDArray[np.float64]) -> Check:
    if wrong.any():
        raise ExportDiffers(what, len(wrong), int(wrong.sum()), float(differences.max()))
    return Check(rows=len(wrong), largest_difference=float(differences.max()))


def golden(exported: OnnxModel, table: Table) -> dict[str, object]:
    """Up to 20 judged rows evenly spread, their answers wherever the model runs, and rows it must refuse."""
    judged = np.flatnonzero(table.judged)
    picked = judged[np.unique(np.linspace(0, len(judged) - 1, GOLDEN_ROWS).astype(int))]
    answers = exported.answers(table.numbers[picked], table.texts[picked])
    rows = [_json_row(table, int(row)) for row in picked]
    return {"rows": rows, **_told(exported.signature, answers), "bad_rows": _bad_rows(rows[0], exported.signature)}


def _told(signature: Signature, answers: Floats) -> dict[str, object]:
    if not signature.labels:
        return {"values": answers[:, 0].tolist()}
    labels = [signature.labels[code] for code in answers.argmax(axis=1)]
    return {"probabilities": answers.tolist(), "labels": labels}


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
