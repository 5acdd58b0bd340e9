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
from training_image.errors import Untrainable
from training_image.rows import Floats, Table, Texts
from training_image.signature import Signature

BATCH_ROWS = 4_096
"""Bounds the memory of an answer: rows × trees × labels."""


@dataclass(frozen=True)
class OnnxModel:
    content: bytes
    signature: Signature

    def answers(self, numbers: Floats, texts: Texts) -> Floats:
        """Probabilities [rows, labels], or values [rows, 1], for the columns of the signature's features."""
        return batched(self._session, self.signature.output, numbers, texts)

    @cached_property
    def _session(self) -> Any:
        return session(self.content)

    def judged_answers(self, table: Table) -> Floats:
        """Answers [judged rows, outputs] for the judged rows of the table.

        Raises Untrainable when the table lacks a feature of this model, or has texts where it takes numbers.
        """
        numbers = _columns(self.signature.names("number"), "number", table)
        texts = _columns(self.signature.names("text"), "text", table)
        return self.answers(numbers.astype(np.float32), texts)

    def reads(self, table: Table) -> bool:
        """Whether the table has every feature of this model in its kind."""
        return all(set(self.signature.names(kind)) <= set(table.names(kind)) for kind in ("number", "text"))


def session(content: bytes) -> Any:
    """A running model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the job's cores are few, and threads that wait for work spin on them
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def batched(running: Any, output: str, numbers: Floats, texts: Texts) -> Floats:
    """One output of a running model for all rows [rows, …], numbers and texts apart."""
    inputs = {name: columns for name, columns in (("numbers", numbers), ("texts", texts)) if columns.shape[1]}
    batches = [
        running.run([output], {name: part[start:][:BATCH_ROWS] for name, part in inputs.items()})[0]
        for start in range(0, max(len(numbers), 1), BATCH_ROWS)
    ]
    return np.concatenate(batches)


def _columns(names: tuple[str, ...], kind: Kind, table: Table) -> NDArray[Any]:
    there = table.names(kind)
    missing = [name for name in names if name not in there]
    if missing:
        raise Untrainable([f"the champion takes a {kind} {name!r}, which the new rows do not have" for name in missing])
    source: NDArray[Any] = table.numbers if kind == "number" else table.texts
    places = [there.index(name) for name in names]
    return source[table.judged][:, places]
