"""What is learnt follows from the target's values, unless somebody says it; what cannot be learnt has a reason."""

import pytest

from training_image.errors import BadData, Untrainable
from training_image.goals import MAX_LABELS, Labels, Numbers, goal_of, metric_of
from training_image.rows import Table, Upload, read_table


def table(*targets: str) -> Table:
    rows = "".join(f"{number},{target}\n" for number, target in enumerate(targets))
    return read_table([], [Upload("rows.csv", f"a,y\n{rows}".encode())], "y")


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        (["red", "blue"] * 3, Labels),
        (["0", "1"] * 3, Labels),
        (["0.0", "1.0"] * 3, Labels),
        ([str(number) for number in range(20)] * 2, Labels),
        ([str(number) for number in range(21)] * 2, Numbers),
        (["0.5", "1"] * 3, Numbers),
        (["1_000", "2", "2", "1_000"], Labels),
        (["1", "2", "inf", "1", "2", "inf"], Labels),
    ],
)
def test_texts_and_few_whole_numbers_are_labels_and_other_numbers_are_numbers(targets: list[str], kind: type) -> None:
    assert isinstance(goal_of(table(*targets), "y", None), kind)


def test_whoever_says_what_is_learnt_is_obeyed() -> None:
    assert isinstance(goal_of(table("0", "1", "0", "1"), "y", "regression"), Numbers)
    assert isinstance(goal_of(table("0.5", "1.5", "0.5", "1.5"), "y", "classification"), Labels)


def test_labels_are_in_order_and_every_row_has_the_place_of_its_own() -> None:
    goal = goal_of(table("b", "a", "b", "a"), "y", None)
    assert (goal.names, goal.target.tolist(), goal.constant_answer) == (("a", "b"), [1, 0, 1, 0], "a")


def test_every_fifth_of_the_numbers_is_a_stratum() -> None:
    goal = goal_of(table(*(f"{number}.5" for number in range(50))), "y", None)
    assert sorted(goal.strata.tolist()) == [stratum for stratum in range(5) for _ in range(10)]
    assert goal.constant_answer == "25"


@pytest.mark.parametrize(
    ("targets", "task", "kind", "reason"),
    [
        (["x", "", " ", "z"], None, BadData, "2 of 4 rows have no target 'y'"),
        (["x", "z", "x", "z"], "regression", BadData, "holds what is no number"),
        (["x"] * 4, None, Untrainable, "every row has the same target 'y': 'x'"),
        (["1.5"] * 4, None, Untrainable, "every row has the same target 'y': '1.5'"),
        (["x", "z", "z"], None, Untrainable, "at least two labels need at least two rows each"),
        (["x" * 65, "z"] * 2, None, Untrainable, "a label longer than 64 bytes"),
        ([], None, Untrainable, "the new window has no rows"),
    ],
)
def test_what_cannot_be_learnt_has_a_reason(targets: list[str], task: None, kind: type[Exception], reason: str) -> None:
    with pytest.raises(kind, match=reason):
        goal_of(table(*targets), "y", task)


def test_identifiers_are_no_labels() -> None:
    with pytest.raises(Untrainable, match=f"{MAX_LABELS + 1} different labels, at most {MAX_LABELS} are allowed"):
        goal_of(table(*(f"id {number}" for number in range(MAX_LABELS + 1))), "y", None)


def test_a_metric_of_the_other_task_is_refused_by_name() -> None:
    goal = goal_of(table("x", "z", "x", "z"), "y", None)
    assert metric_of(goal, "").name == "accuracy"
    with pytest.raises(Untrainable, match="a classification has no metric 'mae', only accuracy, balanced_accuracy"):
        metric_of(goal, "mae")
