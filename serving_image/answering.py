"""From what the models said to predictions, each with the receipt by which its true label will count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving_image.artefacts import Key
from serving_image.configuration import Identity
from serving_image.decoding import BadRow
from shared.distributions import ANOMALY_SCORE, LABEL, PROBABILITY, VALUE
from shared.errors import BadInput
from shared.receipts import Issuer, Receipt
from shared.served_model import Answers, Floats, Model, Row

T = TypeVar("T")


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one good row: label and probability, or the value of a regression.

    What was not asked for or does not exist is left out.
    """

    label: str | msgspec.UnsetType = msgspec.UNSET
    probability: float | msgspec.UnsetType = msgspec.UNSET
    receipt: str | msgspec.UnsetType = msgspec.UNSET
    anomaly_score: float | msgspec.UnsetType = msgspec.UNSET
    anomalous: bool | msgspec.UnsetType = msgspec.UNSET
    probabilities: list[float] | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """The answer to one bad row, in the place where its prediction would be."""

    error: BadRow


class Score(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer of /score: null where the version has no such answer."""

    label: str | None
    probability: float | None
    anomaly_score: float | None
    anomalous: bool | None
    model_version: str
    receipt: str | None
    value: float | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Answered:
    """The predictions of some rows, None where the model's answer is no number, and the same told by column."""

    predictions: list[Prediction | None]
    numbers: Floats
    told: Mapping[str, NDArray[Any]]


class Answering:
    """Predicts rows with one model; without receipts where no deployment could count a label."""

    def __init__(self, model: Model, version: str, identity: Identity | None = None, key: Key | None = None) -> None:
        self.model = model
        self.version = version
        self._labels = model.signature.labels
        self._label_column = np.array(self._labels, dtype=object)
        self._threshold = model.signature.anomaly_threshold
        self._issuer = _issuer(model, identity, key) if identity and key and self._labels else None
        self._sequence = 0

    def answered(self, rows: Sequence[Row], wants_probabilities: bool) -> Answered:
        """One prediction per row, in the order of the rows, answered together."""
        answers = self.model.answers(rows)
        if not self._labels:
            return self._valued(answers)
        return self._labelled(answers, wants_probabilities)

    def _labelled(self, answers: Answers, wants_probabilities: bool) -> Answered:
        outputs = answers.outputs
        places, best = outputs.argmax(axis=1), outputs.max(axis=1)
        everything = outputs.tolist() if wants_probabilities else [msgspec.UNSET] * len(outputs)
        predictions = [
            _if_number(
                probability,
                Prediction(self._labels[place], probability, self._receipt(place), score, anomalous, probabilities),
            )
            for place, probability, (score, anomalous), probabilities in zip(
                places.tolist(), best.tolist(), self._anomalies(answers), everything, strict=True
            )
        ]
        told = {LABEL: self._label_column[places], PROBABILITY: best, **_scores(answers)}
        return Answered(predictions, answers.numbers, told)

    def _valued(self, answers: Answers) -> Answered:
        values = answers.outputs[:, 0]
        predictions = [
            _if_number(value, Prediction(value=value, anomaly_score=score, anomalous=anomalous))
            for value, (score, anomalous) in zip(values.tolist(), self._anomalies(answers), strict=True)
        ]
        return Answered(predictions, answers.numbers, {VALUE: values, **_scores(answers)})

    def score(self, prediction: Prediction) -> Score:
        """The same answer as /score tells it."""
        return Score(
            _or_none(prediction.label),
            _or_none(prediction.probability),
            _or_none(prediction.anomaly_score),
            _or_none(prediction.anomalous),
            self.version,
            _or_none(prediction.receipt),
            prediction.value,
        )

    def _anomalies(self, answers: Answers) -> Sequence[tuple[Any, Any]]:
        """Score, and whether it is beyond what training has called normal, of each row."""
        if answers.scores is None:
            return [(msgspec.UNSET, msgspec.UNSET)] * len(answers.outputs)
        scores, threshold = answers.scores.tolist(), self._threshold
        if threshold is None:
            return [(score, msgspec.UNSET) for score in scores]
        return [(score, score > threshold) for score in scores]

    def _receipt(self, label: int) -> str | msgspec.UnsetType:
        if self._issuer is None:
            return msgspec.UNSET
        self._sequence += 1
        return self._issuer.issue(self._sequence - 1, label)


def _scores(answers: Answers) -> dict[str, Floats]:
    return {} if answers.scores is None else {ANOMALY_SCORE: answers.scores}


def _if_number(number: float, prediction: Prediction) -> Prediction | None:
    return prediction if number == number else None


def _or_none(told: T | msgspec.UnsetType) -> T | None:
    return None if isinstance(told, msgspec.UnsetType) else told


def _issuer(model: Model, who: Identity, key: Key) -> Issuer:
    life = Receipt(who.model, who.run, who.deployed_model, who.reporter, 0, "")
    try:
        return Issuer(key.id, key.secret, life, model.signature.labels)
    except ValueError as error:
        raise BadInput("signature.json", [str(error)]) from error


def encoded(answer: Any) -> bytes:
    """The answer as JSON."""
    return _ENCODER.encode(answer)


_ENCODER = msgspec.json.Encoder()
