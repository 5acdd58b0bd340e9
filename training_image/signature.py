"""What a model takes and gives: the file beside every exported model that makes the model readable without its code."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.tables.cells import Kind


class NamedFeature(BaseModel):
    """One feature; the exported model gets all numbers in one input and all texts in another, in signature order."""

    model_config = ConfigDict(frozen=True)
    name: str
    type: Kind


class Signature(BaseModel):
    """Features in order and labels; the number of a label is its column in the probabilities."""

    model_config = ConfigDict(frozen=True)
    format: Literal[1] = 1
    model: str
    run: str
    task: Literal["classification"] = "classification"
    target: str
    features: tuple[NamedFeature, ...]
    labels: tuple[str, ...]

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of the features of one kind, in the order of their columns in that kind's input."""
        return tuple(feature.name for feature in self.features if feature.type == kind)
