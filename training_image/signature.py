"""What a model takes and gives: the file beside every exported model that makes the model readable without its code."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.evaluation import Task
from shared.tables.cells import Kind


class NamedFeature(BaseModel):
    """One feature; the exported model gets all numbers in one input and all texts in another, in signature order."""

    model_config = ConfigDict(frozen=True)
    name: str
    type: Kind


class AnomalySignature(BaseModel):
    """The anomaly model beside the supervised one: a row that scores above the threshold counts as anomalous."""

    model_config = ConfigDict(frozen=True)
    threshold: float


class Signature(BaseModel):
    """Features in order and labels; the number of a label is its column in the probabilities.

    A classification gives "probabilities" [rows, labels], a regression "values" [rows, 1] and has no labels.
    """

    model_config = ConfigDict(frozen=True)
    format: Literal[1] = 1
    model: str
    run: str
    task: Task = "classification"
    target: str
    features: tuple[NamedFeature, ...]
    labels: tuple[str, ...]
    anomaly: AnomalySignature | None = None

    @property
    def output(self) -> str:
        """What the model's one output is called."""
        return "probabilities" if self.task == "classification" else "values"

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of the features of one kind, in the order of their columns in that kind's input."""
        return tuple(feature.name for feature in self.features if feature.type == kind)
