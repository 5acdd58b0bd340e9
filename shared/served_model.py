"""What this container serves: the supervised model, the anomaly model beside it, and what columns and labels mean."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shared.errors import BadInput

Kind = Literal["number", "text"]
Cell = float | str | None
Row = tuple[Cell, ...]
"""The number cells in the order of the signature, then the text cells; None is missing."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Signature:
    """The columns in order, and the labels in the order of the probabilities; a regression has no labels."""

    model: str
    run: str
    features: tuple[tuple[str, Kind], ...]
    labels: tuple[str, ...]
    anomaly_threshold: float | None = None
    """A row that scores above it counts as anomalous."""

    @staticmethod
    def parse(content: bytes) -> "Signature":
        """The signature that training wrote; raises BadInput when it is none."""
        try:
            kept = json.loads(content)
            features = tuple((feature["name"], feature["type"]) for feature in kept["features"])
            threshold = (kept.get("anomaly") or {}).get("threshold")
            return Signature(kept["model"], kept["run"], features, tuple(kept["labels"]), threshold)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInput("signature.json", [f"not a signature: {error!r:.80}"]) from error

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The columns of a kind, in order."""
        return tuple(name for name, its in self.features if its == kind)


@dataclass(frozen=True)
class Answers:
    """What the models said: probabilities [rows, labels] or values [rows, 1], and anomaly scores [rows] if any.

    `numbers` are the number cells as the models saw them: 32 bits, NaN where missing.
    """

    outputs: Floats
    scores: Floats | None
    numbers: Floats


class Model:
    """Answers rows with probabilities, or values, and anomaly scores."""

    def __init__(self, graph: bytes, signature: Signature, anomaly: bytes | None = None) -> None:
        self.signature = signature
        self._supervised = _Graph(graph, "probabilities" if signature.labels else "values")
        self._anomaly = _Graph(anomaly, "anomaly_scores") if anomaly is not None else None
        self._numbers = len(signature.names("number"))
        self._has_texts = self._numbers < len(signature.features)
        # The first answer pays for what is set up lazily, and shows that there is one.
        self.answers([(None,) * len(signature.features)])

    @property
    def has_anomaly(self) -> bool:
        return self._anomaly is not None

    def answers(self, rows: Sequence[Row]) -> Answers:
        """What both models say to each row."""
        numbers = np.array([row[: self._numbers] for row in rows] if self._has_texts else rows, dtype=np.float32)
        feeds: dict[str, Any] = {"numbers": numbers}
        if self._has_texts:
            feeds["texts"] = np.array([[cell or "" for cell in row[self._numbers :]] for row in rows], dtype=object)
        scores = self._anomaly.run(feeds).reshape(-1) if self._anomaly is not None else None
        return Answers(self._supervised.run(feeds), scores, numbers)


class _Graph:
    """One exported model and the one of its outputs that is asked for."""

    def __init__(self, content: bytes, output: str) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: only the loop asks, and it waits for the answer; a pool's idle threads would spin.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._outputs = [output]

    def run(self, feeds: dict[str, Any]) -> Floats:
        found: Floats = self._session.run(self._outputs, {name: feeds[name] for name in self._inputs})[0]
        return found
