"""The scorecard adds up, explains itself, and counts nothing that it does not know."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scorecard import Card, Verdict, grade

from shared.evaluation import Candidate, ChallengerScores, ChampionScores, Difference, Evaluation, Majority
from shared.rubric import Rubric

DEFAULT = Rubric()


def evaluation(
    *,
    difference: tuple[float | None, float | None, float | None] = (0.05, 0.02, 0.08),
    versus_majority: tuple[float | None, float | None, float | None] = (0.8, 0.7, 0.9),
    accuracy: float | None = 0.95,
    macro_f1: float | None = 0.94,
    deviation: float | None = 0.02,
    train_accuracy: float | None = 0.99,
    champion: bool = True,
) -> Evaluation:
    def interval(values: tuple[float | None, float | None, float | None]) -> Difference:
        return Difference(estimate=values[0], low=values[1], high=values[2])

    return Evaluation(
        rows_trained=400,
        rows_judged=200,
        labels=("a", "b"),
        chosen="RandomForest",
        candidates=(Candidate(name="RandomForest", fold_accuracies=(0.9, 0.95), accuracy=0.925),),
        challenger=ChallengerScores(
            accuracy=accuracy,
            macro_f1=macro_f1,
            fold_accuracies=(0.9, 0.95),
            fold_deviation=deviation,
            train_accuracy=train_accuracy,
        ),
        champion=ChampionScores(run="digits-000001", accuracy=0.9, macro_f1=0.9) if champion else None,
        majority=Majority(label="a", accuracy=0.5),
        difference=interval(difference),
        versus_majority=interval(versus_majority),
        folds=2,
        seeds={"folds": 0, "fit": 0},
        library_versions={"numpy": "2"},
        rows_trained_sha256="0" * 64,
        rows_judged_sha256="1" * 64,
        onnx_rows_checked=200,
        onnx_largest_difference=1e-7,
    )


def points(card: Card) -> dict[str, int | None]:
    return {criterion.name: criterion.points for criterion in card.criteria}


def test_a_clearly_better_model_gets_every_point_and_is_deployed() -> None:
    card = grade(evaluation(), DEFAULT)
    assert (card.total, card.verdict) == (100, Verdict.DEPLOY)
    assert [criterion.maximum for criterion in card.criteria] == [40, 30, 10, 10, 10]
    assert [veto.raised for veto in card.vetoes] == [False]


def test_every_criterion_says_its_numbers_and_why() -> None:
    card = grade(evaluation(), DEFAULT)
    improvement = card.criteria[0]
    assert improvement.inputs == {"estimate": 0.05, "low": 0.02, "high": 0.08}
    assert improvement.reason == (
        "+5.0 points of accuracy against the champion on the same rows (95 % interval +2.0 to +8.0): clear improvement"
    )
    assert all(criterion.reason and criterion.inputs for criterion in card.criteria)


def test_the_first_model_of_all_is_compared_with_the_majority_class_by_name() -> None:
    assert "commonest label" in grade(evaluation(champion=False), DEFAULT).criteria[0].reason


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ((0.011, 0.001, 0.02), 40),
        ((0.011, 0.0, 0.02), 20),
        ((0.01, 0.005, 0.02), 20),
        ((0.001, -0.009, 0.02), 20),
        ((0.001, -0.01, 0.02), 0),
        ((0.0, -0.005, 0.005), 0),
        ((-0.05, -0.1, 0.0), 0),
    ],
)
def test_improvement_needs_a_difference_and_an_interval(difference: tuple[float, float, float], expected: int) -> None:
    assert points(grade(evaluation(difference=difference), DEFAULT))["improvement"] == expected


@pytest.mark.parametrize(("accuracy", "expected"), [(0.901, 30), (0.9, 20), (0.801, 20), (0.8, 0), (0.1, 0)])
def test_quality_is_the_accuracy(accuracy: float, expected: int) -> None:
    assert points(grade(evaluation(accuracy=accuracy), DEFAULT))["quality"] == expected


@pytest.mark.parametrize(("deviation", "expected"), [(0.0, 10), (0.03, 10), (0.031, 5), (0.06, 5), (0.061, 0)])
def test_steady_folds_count(deviation: float, expected: int) -> None:
    assert points(grade(evaluation(deviation=deviation), DEFAULT))["fold deviation"] == expected


@pytest.mark.parametrize(("train", "expected"), [(0.9, 10), (0.95, 10), (1.0, 5), (1.01, 0)])
def test_a_small_gap_between_seen_and_unseen_rows_counts(train: float, expected: int) -> None:
    assert points(grade(evaluation(train_accuracy=train, accuracy=0.9), DEFAULT))["train/test gap"] == expected


@pytest.mark.parametrize(("macro_f1", "expected"), [(0.95, 10), (0.92, 10), (0.98, 10), (0.89, 5), (0.88, 0)])
def test_accuracy_and_macro_f1_within_the_bound_count_despite_rounding(macro_f1: float, expected: int) -> None:
    assert points(grade(evaluation(accuracy=0.95, macro_f1=macro_f1), DEFAULT))["accuracy vs macro F1"] == expected


@pytest.mark.parametrize(("low", "vetoed"), [(-0.1, True), (0.0, True), (0.001, False)])
def test_whatever_the_points_not_beating_the_majority_class_rejects(low: float, vetoed: bool) -> None:
    card = grade(evaluation(versus_majority=(0.1, low, 0.2)), DEFAULT)
    assert card.vetoes[0].raised is vetoed
    assert card.verdict is (Verdict.REJECT if vetoed else Verdict.DEPLOY)
    assert card.total == 100


def test_a_rubric_without_the_veto_has_none() -> None:
    card = grade(evaluation(versus_majority=(0.1, -0.1, 0.2)), Rubric(majority_veto=False))
    assert (card.vetoes, card.verdict) == ((), Verdict.DEPLOY)


@pytest.mark.parametrize(
    ("difference", "train_accuracy", "total", "verdict"),
    [
        ((0.001, -0.005, 0.02), 0.96, 80, Verdict.DEPLOY),
        ((0.001, -0.005, 0.02), 2.0, 70, Verdict.DEPLOY),
        ((-0.1, -0.2, 0.0), 0.96, 60, Verdict.ASK),
        ((-0.1, -0.2, 0.0), 2.0, 50, Verdict.ASK),
    ],
)
def test_the_total_decides_between_deploying_and_asking(
    difference: tuple[float, float, float], train_accuracy: float, total: int, verdict: Verdict
) -> None:
    card = grade(evaluation(difference=difference, train_accuracy=train_accuracy), DEFAULT)
    assert (card.total, card.verdict) == (total, verdict)


def test_below_fifty_is_rejected() -> None:
    card = grade(evaluation(difference=(-0.1, -0.2, 0.0), deviation=0.05, train_accuracy=2.0), DEFAULT)
    assert (card.total, card.verdict, card.reason) == (45, Verdict.REJECT, "45 points, below 50")


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "deviation", "train_accuracy"])
def test_a_missing_number_is_unknown_and_asks_a_person(name: str, missing: float | None) -> None:
    card = grade(_with(name, missing), DEFAULT)
    unknown = [criterion for criterion in card.criteria if criterion.points is None]
    assert unknown and all(criterion.reason.startswith("unknown") for criterion in unknown)
    assert card.verdict is Verdict.ASK


def _with(name: str, value: float | None) -> Evaluation:
    """An evaluation that no reader would have let through: what is built inside the process may still hold NaN."""
    field = {"deviation": "fold_deviation"}.get(name, name)
    whole = evaluation()
    return whole.model_copy(update={"challenger": whole.challenger.model_copy(update={field: value})})


def test_without_a_comparison_improvement_is_unknown() -> None:
    card = grade(evaluation(difference=(None, None, None)), DEFAULT)
    assert (points(card)["improvement"], card.total, card.verdict) == (None, 60, Verdict.ASK)


def test_an_unknown_veto_asks_a_person_too() -> None:
    card = grade(evaluation(versus_majority=(None, None, None)), DEFAULT)
    assert (card.vetoes[0].raised, card.total, card.verdict) == (None, 100, Verdict.ASK)


def test_what_not_even_the_missing_points_could_save_is_rejected() -> None:
    bad: dict[str, Any] = {"difference": (-0.1, -0.2, 0.0), "accuracy": 0.5, "macro_f1": 0.1, "deviation": None}
    card = grade(evaluation(**bad), DEFAULT)
    assert card.verdict is Verdict.REJECT


def test_the_card_survives_json() -> None:
    card = grade(evaluation(), DEFAULT)
    assert Card.model_validate_json(card.model_dump_json()) == card


FRACTION = st.none() | st.floats(0, 1)
INTERVALS = st.none() | st.tuples(*[st.floats(-1, 1)] * 3).map(lambda three: tuple(sorted(three)))


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    def interval() -> tuple[float | None, float | None, float | None]:
        low, estimate, high = draw(INTERVALS) or (None, None, None)
        return estimate, low, high

    return evaluation(
        difference=interval(),
        versus_majority=interval(),
        accuracy=draw(FRACTION),
        macro_f1=draw(FRACTION),
        deviation=draw(FRACTION),
        train_accuracy=draw(FRACTION),
    )


@given(evaluations())
def test_every_card_is_bounded_and_adds_up(one: Evaluation) -> None:
    card = grade(one, DEFAULT)
    assert 0 <= card.total <= 100
    assert card.total == sum(criterion.points or 0 for criterion in card.criteria)
    assert all(0 <= (criterion.points or 0) <= criterion.maximum for criterion in card.criteria)


@given(evaluations())
def test_the_same_numbers_give_the_same_card(one: Evaluation) -> None:
    assert grade(one, DEFAULT) == grade(Evaluation.model_validate_json(one.model_dump_json()), DEFAULT)


@given(evaluations())
def test_nothing_unknown_or_vetoed_is_ever_deployed(one: Evaluation) -> None:
    card = grade(one, DEFAULT)
    doubtful = any(criterion.points is None for criterion in card.criteria)
    if doubtful or any(veto.raised is not False for veto in card.vetoes):
        assert card.verdict is not Verdict.DEPLOY


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_better_difference_never_costs_points(low: float, estimate: float, more: float, higher: float) -> None:
    low, estimate = sorted((low, estimate))
    worse = evaluation(difference=(estimate, low, 2.0))
    better = evaluation(difference=(estimate + max(more, higher), low + min(more, higher), 4.0))
    assert grade(worse, DEFAULT).total <= grade(better, DEFAULT).total


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_metric_never_costs_points(one: float, other: float) -> None:
    low, high = sorted((one, other))

    def total(**numbers: float) -> int:
        return grade(evaluation(**numbers), DEFAULT).total  # type: ignore[arg-type]

    assert total(deviation=high) <= total(deviation=low)
    assert total(train_accuracy=high) <= total(train_accuracy=low)
    assert total(accuracy=low, macro_f1=low) <= total(accuracy=high, macro_f1=high)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"quality_points_full": 40}, "add up to 110"),
        ({"gap_points_half": 11}, "gap_points_half exceeds"),
        ({"quality_half_above": 0.95}, "quality_half_above exceeds"),
        ({"deviation_full_within": 0.07}, "deviation_full_within exceeds"),
        ({"ask_from_points": 80}, "ask_from_points exceeds"),
        ({"qualty_points_full": 30}, "qualty_points_full"),
        ({"quality_full_above": math.nan}, "quality_full_above"),
    ],
)
def test_a_rubric_that_makes_no_sense_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Rubric(**wrong)


def test_every_number_of_the_rubric_has_a_description() -> None:
    assert all(field.description for field in Rubric.model_fields.values())


def test_an_evaluation_too_big_for_an_event_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 65536"):
        Evaluation.model_validate({**evaluation().model_dump(), "labels": ["x" * 64] * 1100})


def test_what_is_not_a_number_becomes_missing() -> None:
    scores = {**evaluation().challenger.model_dump(), "accuracy": math.nan}
    assert ChallengerScores.model_validate(scores).accuracy is None


def test_an_interval_beside_its_estimate_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not contain"):
        Difference(estimate=0.5, low=0.6, high=0.7)
