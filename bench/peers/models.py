"""The models that every server in the comparison answers with: same rows, seeds and library, trained on each side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = 20
TRAINING_ROWS = 4_000
NAMES = [f"x{place}" for place in range(FEATURES)]
MODELS = ("linear", "forest", "isolation")


def rows() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features [rows, 20] of four decimals in 32 bits, labels [rows]; those after TRAINING_ROWS are for asking."""
    features, labels = make_classification(2 * TRAINING_ROWS, FEATURES, n_informative=10, random_state=0)
    return features.round(4).astype(np.float32), labels


def fitted(name: str) -> Any:
    """One of MODELS, fitted."""
    features, labels = (part[:TRAINING_ROWS] for part in rows())
    if name == "isolation":
        return IsolationForest(random_state=0).fit(features)
    if name == "forest":
        return RandomForestClassifier(200, random_state=0, n_jobs=1).fit(features, labels)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, labels)
