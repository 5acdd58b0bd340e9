"""The algorithms that compete, each with the preprocessing it needs inside: what is exported is what was fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_image.rows import Floats, Texts

FOREST_TREES = 50
"""On the bundled data sets twice as many gain less than a fold's noise and double training, export and answer."""
LOGISTIC_ITERATIONS_MAX = 1_000


@dataclass(frozen=True)
class Shape:
    """How many columns of each kind stand in the matrix: numbers first, then texts."""

    numbers: int
    texts: int


@dataclass(frozen=True)
class Candidate:
    """A named recipe: `build(shape, seed)` gives a fresh, unfitted scikit-learn pipeline."""

    name: str
    build: Callable[[Shape, int], Any]


def candidates() -> tuple[Candidate, ...]:
    """The candidates, simplest first: that one wins a tie."""
    return (Candidate("LogisticRegression", _logistic), Candidate("RandomForest", _forest))


def matrix(numbers: Floats, texts: Texts) -> NDArray[Any]:
    """One matrix [rows, numbers + texts] for scikit-learn; float64 without texts, object with.

    The numbers stay those of 32 bits, which is what the exported model is given.
    """
    if not texts.shape[1]:
        return numbers.astype(np.float64)
    return np.hstack([numbers.astype(object), texts])


def _logistic(shape: Shape, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classifier = LogisticRegression(max_iter=LOGISTIC_ITERATIONS_MAX, random_state=seed)
    return make_pipeline(_preprocessing(shape, scaled=True), classifier)


def _forest(shape: Shape, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    classifier = RandomForestClassifier(n_estimators=FOREST_TREES, random_state=seed, n_jobs=1)
    return make_pipeline(_preprocessing(shape, scaled=False), classifier)


def _preprocessing(shape: Shape, *, scaled: bool) -> Any:
    from sklearn.compose import ColumnTransformer

    numbers = list(range(shape.numbers))
    texts = list(range(shape.numbers, shape.numbers + shape.texts))
    parts = [("numbers", _number_steps(scaled=scaled), numbers), ("texts", _text_steps(), texts)]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def _number_steps(*, scaled: bool) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    # A forest splits on order alone; scaling would only add rounding between the fitted and the exported model.
    return make_pipeline(imputer, StandardScaler()) if scaled else imputer


def _text_steps() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    imputer = SimpleImputer(missing_values="", strategy="most_frequent", keep_empty_features=True)
    return make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore", sparse_output=False))
