"""Folds are fair, and the better candidate is chosen on rows it has not seen."""

import numpy as np
import pytest

from training_image.candidates import Candidate, candidates
from training_image.errors import Untrainable
from training_image.goals import Labels
from training_image.metrics import CLASSIFICATION
from training_image.preprocessing import Shape
from training_image.regression_metrics import REGRESSION
from training_image.selection import Tried, assign_folds, best, cross_validate

ACCURACY = CLASSIFICATION[0]


class Memory:
    """A classifier that knows exactly the rows it was fitted on, and knows no label for any other."""

    def fit(self, rows: np.ndarray, labels: np.ndarray) -> "Memory":
        self.known = dict(zip(rows[:, 0].tolist(), labels.tolist(), strict=True))
        self.classes_ = np.unique(labels)
        return self

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        answers = [self.known.get(row, -1) for row in rows[:, 0].tolist()]
        return (np.array(answers)[:, None] == self.classes_).astype(float)


def test_every_fold_has_its_share_of_every_label_and_of_the_new_rows() -> None:
    labels = np.array([0] * 50 + [1] * 30 + [2] * 20)
    judged = np.arange(100) % 2 == 0
    assigned = assign_folds(labels, judged, 5, seed=3)
    for fold in range(5):
        assert np.bincount(labels[assigned == fold]).tolist() == [10, 6, 4]
        assert judged[assigned == fold].sum() == 10


def test_the_seed_decides_the_folds() -> None:
    labels, judged = np.arange(60) % 3, np.ones(60, dtype=np.bool_)
    assert assign_folds(labels, judged, 5, 1).tolist() == assign_folds(labels, judged, 5, 1).tolist()
    assert assign_folds(labels, judged, 5, 1).tolist() != assign_folds(labels, judged, 5, 2).tolist()


def test_no_answer_comes_from_a_fit_that_has_seen_the_row() -> None:
    rows, goal = np.arange(40.0).reshape(-1, 1), Labels(("a", "b", "c"), np.array([1, 2] * 20))
    assigned = assign_folds(goal.strata, np.ones(40, dtype=np.bool_), 4, 0)
    memory = Candidate("memory", lambda *_: Memory())
    tried = cross_validate(memory, Shape(1, 0), rows, goal, assigned, 0, ACCURACY)
    assert tried.answers.sum() == 0
    assert tried.primary == tried.headline == (0.0,) * 4


def test_fewer_rows_than_folds_have_a_reason() -> None:
    with pytest.raises(Untrainable, match="3 rows are fewer than the 5 folds of the cross-validation"):
        assign_folds(np.array([0, 0, 1]), np.ones(3, dtype=np.bool_), 5, 0)


def test_a_label_with_one_row_among_others_is_no_obstacle() -> None:
    labels = np.array([0] * 10 + [1] * 10 + [2])
    assert np.bincount(assign_folds(labels, np.ones(21, dtype=np.bool_), 5, 0)).tolist() == [5, 4, 4, 4, 4]


def tried(name: str, *scores: float) -> Tried:
    return Tried(Candidate(name, lambda *_: None), np.array([[1.0]]), scores, scores)


def test_the_better_is_chosen_and_the_first_of_equals() -> None:
    assert best([tried("a", 0.8, 0.9), tried("b", 0.9, 0.9)], ACCURACY).candidate.name == "b"
    assert best([tried("a", 0.8, 0.9), tried("b", 0.9, 0.8)], ACCURACY).candidate.name == "a"


def test_of_errors_the_smaller_is_the_better_and_an_unknown_one_the_worst() -> None:
    assert best([tried("a", 3.0), tried("b", 2.0), tried("c", float("nan"))], REGRESSION[0]).candidate.name == "b"


def test_a_candidate_of_the_other_task_is_refused_by_name() -> None:
    with pytest.raises(Untrainable, match="Ridge is not for a classification, which has LogisticRegression"):
        candidates("classification", ["Ridge"])
    assert [one.name for one in candidates("regression", ["HistGradientBoosting", "Ridge"])] == [
        "Ridge", "HistGradientBoosting",
    ]  # fmt: skip
