"""A small file's answers, by the model itself, here: nobody waits minutes for a job to start for some rows.

The model's files never change, so whoever asks again is answered the same. The endpoint in production is not asked: its
traffic may be split between two versions, and every row would count there as what a client wanted to know.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from math import isnan
from typing import TYPE_CHECKING, Any, TypeVar

from shared.artefacts import key_of, read_artefact
from shared.errors import BadInput
from shared.store import Store

if TYPE_CHECKING:
    from shared.served_model import Answers, Signature

T = TypeVar("T")
MODEL_BYTES = 64 << 20  # of both models: they are held, several times over, beside the rows in a function of 1 GiB
_SLICE_ROWS = 256


def fits(store: Store, place: str) -> bool:
    """Whether the models in a place are small enough to be loaded here."""
    found = [store.stat(f"{key_of(store, place)}{name}") for name in ("model.onnx", "anomaly.onnx")]
    return sum(entry.bytes for entry in found if entry is not None) <= MODEL_BYTES


def answers_of(instances: Iterable[Mapping[str, Any]], key: str, store: Store, place: str) -> Iterator[dict[str, Any]]:
    """An answer to each instance, as a batch prediction job would have written it; BadInput if the model gives none."""
    from shared.served_model import Model, Signature  # ONNX Runtime: who waits for a job needs nothing of it

    signature = Signature.parse(read_artefact(store, place, "signature.json"))
    graph, anomaly = read_artefact(store, place, "model.onnx"), store.read(f"{key_of(store, place)}anomaly.onnx")
    model = _asked(lambda: Model(graph, signature, anomaly))
    columns, waiting = (*signature.names("number"), *signature.names("text")), iter(instances)
    while part := list(islice(waiting, _SLICE_ROWS)):
        rows = [tuple(instance[name] for name in columns) for instance in part]
        predictions = _told(_asked(lambda rows=rows: model.answers(rows)), signature)  # type: ignore[misc]
        for instance, prediction in zip(part, predictions, strict=True):
            yield {"key": instance[key], "prediction": prediction}


def _asked(ask: Callable[[], T]) -> T:
    """What the model says; what ONNX Runtime raises has no class in common, and may quote a row."""
    try:
        return ask()
    except Exception as error:
        raise BadInput("model", [f"it does not answer: {type(error).__name__}"]) from error


def _told(answers: "Answers", signature: "Signature") -> Iterator[dict[str, Any]]:
    """One prediction per row as the serving image tells it; nothing in it that is no number."""
    outputs, scores = answers.outputs, answers.scores
    best, places = outputs.max(axis=1).tolist(), outputs.argmax(axis=1).tolist()
    for row, (number, place) in enumerate(zip(best, places, strict=True)):
        if isnan(number):
            yield {}
            continue
        told = {"label": signature.labels[place], "probability": number} if signature.labels else {"value": number}
        yield told if scores is None else {**told, **_anomaly(float(scores[row]), signature.anomaly_threshold)}


def _anomaly(score: float, threshold: float | None) -> dict[str, Any]:
    if isnan(score):
        return {}
    return {"anomaly_score": score} if threshold is None else {"anomaly_score": score, "anomalous": score > threshold}
