"""The algorithms that compete, each with the preprocessing it needs inside: what is exported is what was fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.evaluation import Task
from training_image.errors import Untrainable
from training_image.preprocessing import Shape, preprocessing

FOREST_TREES = 50
"""On the bundled data sets twice as many gain less than a fold's noise and double training, export and answer."""
LOGISTIC_ITERATIONS_MAX = 1_000


@dataclass(frozen=True)
class Candidate:
    """A named recipe: `build(shape, seed)` gives a fresh, unfitted scikit-learn pipeline."""

    name: str
    build: Callable[[Shape, int], Any]


_CLASSIFIERS = (
    Candidate("LogisticRegression", lambda shape, seed: _pipeline(_logistic(seed), shape, scaled=True)),
    Candidate("RandomForest", lambda shape, seed: _pipeline(_forest_of_labels(seed), shape)),
    Candidate("HistGradientBoosting", lambda shape, seed: _pipeline(_boosting_of_labels(seed), shape)),
)
_REGRESSORS = (
    Candidate("Ridge", lambda shape, _seed: _pipeline(_ridge(), shape, scaled=True)),
    Candidate("RandomForest", lambda shape, seed: _pipeline(_forest_of_numbers(seed), shape)),
    Candidate("HistGradientBoosting", lambda shape, seed: _pipeline(_boosting_of_numbers(seed), shape)),
)


def candidates(task: Task, wanted: Sequence[str] = ()) -> tuple[Candidate, ...]:
    """The candidates for a task, simplest first: that one wins a tie. All of them, or those that are wanted.

    Raises Untrainable when a wanted one is not for this task.
    """
    known = _CLASSIFIERS if task == "classification" else _REGRESSORS
    unknown = sorted({*wanted} - {one.name for one in known})
    if unknown:
        names = ", ".join(one.name for one in known)
        raise Untrainable([f"training.candidates: {name} is not for a {task}, which has {names}" for name in unknown])
    return tuple(one for one in known if not wanted or one.name in wanted)


def _pipeline(estimator: Any, shape: Shape, *, scaled: bool = False) -> Any:
    from sklearn.pipeline import make_pipeline

    return make_pipeline(preprocessing(shape, scaled=scaled), estimator)


def _logistic(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=LOGISTIC_ITERATIONS_MAX, random_state=seed)


def _forest_of_labels(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=FOREST_TREES, random_state=seed, n_jobs=1)


def _boosting_of_labels(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


def _ridge() -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(solver="cholesky")  # the one without iterations and without chance


def _forest_of_numbers(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=FOREST_TREES, random_state=seed, n_jobs=1)


def _boosting_of_numbers(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=seed)
