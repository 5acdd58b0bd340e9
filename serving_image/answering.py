"""From what the models said to predictions, each with the receipt by which its true label will count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving_image.artefacts import Key
from serving_image.configuration import Identity
from serving_image.decoding import BadRow
from serving_image.model import Answers, Floats, Model, Row
from shared.errors import BadInput
from shared.receipts import Issuer, Receipt


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one good row; what was not asked for or does not exist is left out."""

    label: str
    probability: float
    receipt: str | msgspec.UnsetType = msgspec.UNSET
    anomaly_score: float | msgspec.UnsetType = msgspec.UNSET
    probabilities: list[float] | msgspec.UnsetType = msgspec.UNSET


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """The answer to one bad row, in the place where its prediction would be."""

    error: BadRow


class Score(msgspec.Struct, frozen=True, gc=False):
    """The answer of /score: every field is there, whatever the version was trained with."""

    label: str
    probability: float
    anomaly_score: float | None
    model_version: str
    receipt: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The predictions of some rows, None where the model's answer is no number; `places` and `best` of their labels."""

    predictions: list[Prediction | None]
    answers: Answers
    places: NDArray[np.int64]
    best: Floats


class Answering:
    """Predicts rows with one model; without receipts where no deployment could count a label."""

    def __init__(self, model: Model, version: str, identity: Identity | None = None, key: Key | None = None) -> None:
        self.model = model
        self.version = version
        self._labels = model.signature.labels
        self._issuer = _issuer(model, identity, key) if identity and key else None
        self._sequence = 0

    def answered(self, rows: Sequence[Row], wants_probabilities: bool) -> Answered:
        """One prediction per row, in the order of the rows, answered together."""
        answers = self.model.answers(rows)
        places, best = answers.probabilities.argmax(axis=1), answers.probabilities.max(axis=1)
        none = [msgspec.UNSET] * len(rows)
        scores: Sequence[Any] = none if answers.scores is None else answers.scores.tolist()
        all_of_them: Sequence[Any] = answers.probabilities.tolist() if wants_probabilities else none
        predictions = [
            Prediction(self._labels[place], probability, self._receipt(place), score, probabilities)
            if probability == probability  # NaN is not, and no answer either
            else None
            for place, probability, score, probabilities in zip(
                places.tolist(), best.tolist(), scores, all_of_them, strict=True
            )
        ]
        return Answered(predictions, answers, places, best)

    def score(self, prediction: Prediction) -> Score:
        """The same answer as /score tells it."""
        return Score(
            prediction.label,
            prediction.probability,
            None if prediction.anomaly_score is msgspec.UNSET else prediction.anomaly_score,
            self.version,
            None if prediction.receipt is msgspec.UNSET else prediction.receipt,
        )

    def _receipt(self, label: int) -> str | msgspec.UnsetType:
        if self._issuer is None:
            return msgspec.UNSET
        self._sequence += 1
        return self._issuer.issue(self._sequence - 1, label)


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
