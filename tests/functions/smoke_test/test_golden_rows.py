"""The same answers as in training, or every way in which they are not."""

from typing import Any

import pytest
from golden_rows import MAX_PROBLEMS, Golden, differences, read_golden

from shared.errors import BadInput

GOLDEN = Golden(rows=({"p0": 1.0}, {"p0": 2.0}), probabilities=((0.9, 0.1), (0.2, 0.8)), labels=("a", "b"))


def answers(*probabilities: list[Any], labels: tuple[str, ...] = ("a", "b")) -> list[dict[str, Any]]:
    return [{"label": label, "probabilities": each} for label, each in zip(labels, probabilities, strict=True)]


def test_equal_answers_have_no_difference() -> None:
    assert differences(GOLDEN, answers([0.9, 0.1], [0.2, 0.8])) == ()


@pytest.mark.parametrize(("shift", "same"), [(0.00009, True), (0.00011, False)])
def test_probabilities_may_differ_by_the_tolerance(shift: float, same: bool) -> None:
    found = differences(GOLDEN, answers([0.9 + shift, 0.1], [0.2, 0.8]))
    assert (found == ()) is same
    assert same or found == ("row 0: a probability differs by 0.000110",)


def test_another_label_is_a_difference_even_with_the_same_probabilities() -> None:
    found = differences(GOLDEN, answers([0.9, 0.1], [0.2, 0.8], labels=("a", "a")))
    assert found == ("row 1: label 'a' instead of 'b'",)


def test_of_two_labels_that_training_could_not_tell_apart_either_will_do() -> None:
    golden = Golden(rows=({"p0": 1.0},), probabilities=((0.5, 0.5),), labels=("a",))
    assert differences(golden, answers([0.5, 0.5], labels=("b",))) == ()


@pytest.mark.parametrize(
    "wrong", [[0.9], [0.9, 0.1, 0.0], [0.9, None], [0.9, float("nan")], [0.9, "0.1"], [True, False], None]
)
def test_what_is_no_row_of_probabilities_is_a_difference(wrong: Any) -> None:
    assert differences(GOLDEN, answers(wrong, [0.2, 0.8])) == ("row 0: not 2 probabilities",)


@pytest.mark.parametrize("answer", ["a", None, {"error": "busy"}])
def test_what_is_no_prediction_is_a_difference(answer: Any) -> None:
    assert differences(GOLDEN, [answer, *answers([0.2, 0.8], labels=("b",))]) == ("row 0: not 2 probabilities",)


def test_a_missing_answer_is_a_difference() -> None:
    assert differences(GOLDEN, answers([0.9, 0.1], labels=("a",))) == ("1 answers to 2 rows",)


def test_a_golden_file_without_an_answer_to_every_row_is_refused() -> None:
    with pytest.raises(BadInput, match="differ in number"):
        read_golden(b'{"rows": [{"p0": 1}], "probabilities": [[0.5, 0.5]], "labels": ["a", "b"]}')


def test_an_empty_golden_file_proves_nothing_and_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 1 item"):
        read_golden(b'{"rows": [], "probabilities": [], "labels": []}')


def test_of_very_many_differences_some_are_told() -> None:
    many = Golden(rows=({"p0": 1.0},) * 100, probabilities=((1.0,),) * 100, labels=("a",) * 100)
    assert len(differences(many, [None] * 100)) == MAX_PROBLEMS


NUMBERS = Golden(rows=({"p0": 1.0}, {"p0": 2.0}), values=(100.0, -200.0))


@pytest.mark.parametrize(("shift", "same"), [(0.019, True), (0.021, False)])
def test_values_may_differ_by_the_tolerances_share_of_the_largest(shift: float, same: bool) -> None:
    found = differences(NUMBERS, [{"value": 100.0 + shift}, {"value": -200.0}])
    assert (found == ()) is same


@pytest.mark.parametrize("answer", ["a", None, {"value": None}, {"value": float("nan")}, {"label": "a"}])
def test_what_is_no_value_is_a_difference(answer: Any) -> None:
    assert differences(NUMBERS, [{"value": 100.0}, answer]) == ("row 1: not a value",)
