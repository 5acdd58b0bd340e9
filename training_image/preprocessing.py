"""How cells become numbers: part of every pipeline, so that the exported model takes rows as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.settings import PreprocessingSettings
from training_image.rows import Floats, Texts

_STRATEGIES = {"median": "median", "mean": "mean", "zero": "constant"}
_AS_USUAL = PreprocessingSettings()


@dataclass(frozen=True)
class Shape:
    """How many columns of each kind stand in the matrix, numbers first, then texts, and how they are prepared."""

    numbers: int
    texts: int
    settings: PreprocessingSettings = _AS_USUAL


def matrix(numbers: Floats, texts: Texts) -> NDArray[Any]:
    """One matrix [rows, numbers + texts] for scikit-learn; float64 without texts, object with.

    The numbers stay those of 32 bits, which is what the exported model is given.
    """
    if not texts.shape[1]:
        return numbers.astype(np.float64)
    return np.hstack([numbers.astype(object), texts])


def preprocessing(shape: Shape, *, scaled: bool) -> Any:
    """An unfitted transformer from the matrix to numbers without gaps; a text that no fit has seen is all zeros."""
    from sklearn.compose import ColumnTransformer

    numbers = list(range(shape.numbers))
    texts = list(range(shape.numbers, shape.numbers + shape.texts))
    parts = [
        ("numbers", _number_steps(shape.settings, scaled=scaled), numbers),
        ("texts", _text_steps(shape.settings), texts),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def _number_steps(settings: PreprocessingSettings, *, scaled: bool) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    strategy = _STRATEGIES[settings.missing_numbers]
    imputer = SimpleImputer(strategy=strategy, fill_value=0.0, keep_empty_features=True)
    # A forest splits on order alone; scaling would only add rounding between the fitted and the exported model.
    return make_pipeline(imputer, StandardScaler()) if scaled else imputer


def _text_steps(settings: PreprocessingSettings) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    if settings.missing_texts == "own":
        return encoder
    return make_pipeline(SimpleImputer(missing_values="", strategy="most_frequent", keep_empty_features=True), encoder)
