"""A model as it is served: ONNX bytes and their signature, the challenger's and the champion's alike.

Whatever is compared in training is compared in this form, because this form is what answers people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.tables.cells import Kind
from training_image.errors import BadData
from training_image.rows import Floats, Table, Texts
from training_image.signature import Signature

BATCH_ROWS = 4_096
"""Bounds the memory of an answer: rows × trees × labels."""


@dataclass(frozen=True)
class OnnxModel:
    content: bytes
    signature: Signature

    def probabilities(self, numbers: Floats, texts: Texts) -> Floats:
        """Probabilities [rows, labels] for the columns of the signature's features, numbers and texts apart."""
        inputs = {name: columns for name, columns in (("numbers", numbers), ("texts", texts)) if columns.shape[1]}
        batches = [
            self._session.run(["probabilities"], {name: part[start:][:BATCH_ROWS] for name, part in inputs.items()})[0]
            for start in range(0, max(len(numbers), 1), BATCH_ROWS)
        ]
        return np.concatenate(batches)

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the job's cores are few, and threads that wait for work spin on them
        return onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])

    def judged_probabilities(self, table: Table) -> Floats:
        """Probabilities [judged rows, labels of the signature] for the judged rows of the table.

        Raises BadData when the table lacks a feature of this model, or has texts where it takes numbers.
        """
        numbers = _columns(self.signature.names("number"), "number", table)
        texts = _columns(self.signature.names("text"), "text", table)
        return self.probabilities(numbers.astype(np.float32), texts)

    def labels_of(self, probabilities: Floats) -> NDArray[np.object_]:
        """The likeliest label [rows] of probabilities [rows, labels of the signature]."""
        labels: NDArray[np.object_] = np.array(self.signature.labels, dtype=object)[probabilities.argmax(axis=1)]
        return labels


def _columns(names: tuple[str, ...], kind: Kind, table: Table) -> NDArray[Any]:
    there = table.names(kind)
    missing = [name for name in names if name not in there]
    if missing:
        raise BadData([f"the champion takes a {kind} {name!r}, which the new rows do not have" for name in missing])
    source: NDArray[Any] = table.numbers if kind == "number" else table.texts
    places = [there.index(name) for name in names]
    return source[table.judged][:, places]
