"""The model that this container serves: its graph, and what its columns and labels mean."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime

Kind = Literal["number", "text"]


@dataclass(frozen=True)
class Signature:
    """The columns in order, and the labels in the order of the probabilities."""

    model: str
    run: str
    features: tuple[tuple[str, Kind], ...]
    labels: tuple[str, ...]

    @staticmethod
    def parse(text: bytes) -> "Signature":
        """The signature that training wrote."""
        kept = json.loads(text)
        features = tuple((feature["name"], feature["type"]) for feature in kept["features"])
        return Signature(kept["model"], kept["run"], features, tuple(kept["labels"]))


class Model:
    """Answers rows with probabilities."""

    def __init__(self, graph: bytes, signature: Signature) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = {each.name for each in self._session.get_inputs()}
        self.signature = signature

    def probabilities(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """One list of probabilities, in the order of the labels, for each row of cells in the order of the columns."""
        kinds = [kind for _, kind in self.signature.features]
        feeds: dict[str, Any] = {}
        if "numbers" in self._inputs:
            numbers = [[cell for cell, kind in zip(row, kinds, strict=True) if kind == "number"] for row in rows]
            feeds["numbers"] = np.asarray(numbers, dtype=np.float32)
        if "texts" in self._inputs:
            texts = [[cell for cell, kind in zip(row, kinds, strict=True) if kind == "text"] for row in rows]
            feeds["texts"] = np.asarray(texts, dtype=object)
        found: list[list[float]] = self._session.run(["probabilities"], feeds)[0].tolist()
        return found
