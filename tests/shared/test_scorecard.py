"""The scorecard adds up, explains itself, and counts nothing that it does not know."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.evaluation import (
    Baseline,
    ChallengerScores,
    ChampionScores,
    Difference,
    Evaluation,
    GroupGap,
    MetricComparison,
    SliceScore,
)
from shared.rubric import Rubric
from shared.scorecard import Card, Verdict, grade

DEFAULT = Rubric()
Three = tuple[float | None, float | None, float | None]


def interval(values: Three) -> Difference:
    return Difference(estimate=values[0], low=values[1], high=values[2])


def evaluation(
    *,
    difference: Three = (0.05, 0.02, 0.08),
    versus_baseline: Three = (0.8, 0.7, 0.9),
    score: float | None = 0.95,
    macro_f1: float | None = 0.94,
    deviation: float | None = 0.02,
    train_score: float | None = 0.99,
    champion: bool = True,
    slices: tuple[SliceScore, ...] = (),
    groups: tuple[GroupGap, ...] = (),
) -> Evaluation:
    return Evaluation(
        rows_trained=400,
        rows_judged=200,
        chosen="RandomForest",
        challenger=ChallengerScores(score=score, train_score=train_score, fold_deviation=deviation),
        champion=ChampionScores(run="digits-000001") if champion else None,
        comparisons=(
            MetricComparison(metric="accuracy", higher_is_better=True, difference=interval(difference)),
            MetricComparison(metric="macro_f1", higher_is_better=True, challenger=macro_f1),
        ),
        versus_baseline=MetricComparison(
            metric="accuracy", higher_is_better=True, difference=interval(versus_baseline)
        ),
        slices=slices,
        groups=groups,
    )


def regression(*, r2: float | None = 0.8, mae: float | None = 4.0, saved: Three = (-2.0, -3.0, -1.0)) -> Evaluation:
    """A regression whose rival's mean error is 10, as is that of the mean."""
    error = MetricComparison(
        metric="mae", higher_is_better=False, relative=True, challenger=mae, rival=10.0, difference=interval(saved)
    )
    return Evaluation(
        task="regression",
        rows_trained=400,
        rows_judged=200,
        chosen="Ridge",
        primary="mae",
        challenger=ChallengerScores(score=r2, train_score=0.81, fold_deviation=0.01),
        champion=ChampionScores(run="prices-000001"),
        comparisons=(error,),
        baseline=Baseline(answer="20", metrics={"mae": 10.0}),
        versus_baseline=error,
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


def test_the_first_model_of_all_is_compared_with_a_constant_answer_by_name() -> None:
    assert "always giving the same answer" in grade(evaluation(champion=False), DEFAULT).criteria[0].reason


def test_the_card_names_its_rubric_by_the_owners_version_and_by_its_numbers() -> None:
    one, other = grade(evaluation(), DEFAULT), grade(evaluation(), Rubric(version=3, deploy_from_points=71))
    assert (one.rubric_version, other.rubric_version) == (1, 3)
    assert one.rubric_digest != other.rubric_digest
    assert grade(evaluation(), Rubric()).rubric_digest == one.rubric_digest


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
def test_improvement_needs_a_difference_and_an_interval(difference: Three, expected: int) -> None:
    assert points(grade(evaluation(difference=difference), DEFAULT))["improvement"] == expected


@pytest.mark.parametrize(("score", "expected"), [(0.901, 30), (0.9, 20), (0.801, 20), (0.8, 0), (0.1, 0)])
def test_quality_is_the_accuracy(score: float, expected: int) -> None:
    assert points(grade(evaluation(score=score), DEFAULT))["quality"] == expected


@pytest.mark.parametrize(("deviation", "expected"), [(0.0, 10), (0.03, 10), (0.031, 5), (0.06, 5), (0.061, 0)])
def test_steady_folds_count(deviation: float, expected: int) -> None:
    assert points(grade(evaluation(deviation=deviation), DEFAULT))["fold deviation"] == expected


@pytest.mark.parametrize(("train", "expected"), [(0.9, 10), (0.95, 10), (1.0, 5), (1.01, 0)])
def test_a_small_gap_between_seen_and_unseen_rows_counts_despite_rounding(train: float, expected: int) -> None:
    assert points(grade(evaluation(train_score=train, score=0.9), DEFAULT))["train/test gap"] == expected


@pytest.mark.parametrize(("macro_f1", "expected"), [(0.86, 10), (0.85, 5), (0.71, 5), (0.70, 0)])
def test_doing_well_on_every_label_counts(macro_f1: float, expected: int) -> None:
    assert points(grade(evaluation(macro_f1=macro_f1), DEFAULT))["every label"] == expected


def test_a_regression_is_judged_by_its_error_its_r2_and_the_typical_row() -> None:
    card = grade(regression(), DEFAULT)
    assert points(card) == {
        "improvement": 40, "quality": 30, "fold deviation": 10, "train/test gap": 10, "typical row": 10,
    }  # fmt: skip
    assert card.criteria[0].inputs == {"estimate": 0.2, "low": 0.1, "high": 0.3}
    assert card.criteria[0].reason.startswith("+20.0 % less mae against the champion")
    assert card.criteria[4].reason.startswith("the mean error is 40% of that of always answering the mean")


def test_a_regression_whose_error_grew_is_not_an_improvement() -> None:
    card = grade(regression(mae=9.0, saved=(1.0, 0.5, 1.5)), DEFAULT)
    assert (points(card)["improvement"], points(card)["typical row"]) == (0, 0)
    assert card.verdict is Verdict.REJECT


@pytest.mark.parametrize(("low", "vetoed"), [(-0.1, True), (0.0, True), (0.001, False)])
def test_whatever_the_points_not_beating_a_constant_answer_rejects(low: float, vetoed: bool) -> None:
    card = grade(evaluation(versus_baseline=(0.1, low, 0.2)), DEFAULT)
    assert (card.vetoes[0].raised, card.doubts_rows) == (vetoed, vetoed)
    assert card.verdict is (Verdict.REJECT if vetoed else Verdict.DEPLOY)
    assert card.total == 100


def test_a_rubric_without_the_veto_has_none() -> None:
    card = grade(evaluation(versus_baseline=(0.1, -0.1, 0.2)), Rubric(baseline_veto=False))
    assert (card.vetoes, card.verdict) == ((), Verdict.DEPLOY)


def sliced(*differences: Three) -> tuple[SliceScore, ...]:
    return tuple(
        SliceScore(
            column="region",
            value=f"r{number}",
            rows=40,
            comparison=MetricComparison(metric="accuracy", higher_is_better=True, difference=interval(values)),
        )
        for number, values in enumerate(differences)
    )


@pytest.mark.parametrize(
    ("worst", "raised"),
    [
        ((-0.2, -0.3, -0.1), True),
        ((-0.2, -0.3, 0.01), False),
        ((-0.05, -0.06, -0.04), False),
        ((0.2, 0.1, 0.3), False),
    ],
)
def test_a_slice_that_lost_significantly_and_more_than_the_bound_vetoes(worst: Three, raised: bool) -> None:
    card = grade(evaluation(slices=sliced((0.1, 0.0, 0.2), worst)), DEFAULT)
    veto = card.vetoes[1]
    assert (veto.raised, card.doubts_rows) == (raised, False)
    assert card.verdict is (Verdict.REJECT if raised else Verdict.DEPLOY)
    assert ("'r1' (-20.0)" in veto.reason) is raised


def test_slices_with_too_few_rows_ask_a_person() -> None:
    card = grade(evaluation(slices=(SliceScore(column="region", value="r0", rows=3),)), DEFAULT)
    assert (card.vetoes[1].raised, card.verdict) == (None, Verdict.ASK)


@pytest.mark.parametrize(
    ("gap", "raised"), [((0.2, 0.1, 0.3), True), ((0.2, -0.01, 0.4), False), ((0.1, 0.05, 0.15), False)]
)
def test_groups_served_too_differently_veto(gap: Three, raised: bool) -> None:
    group = GroupGap(column="sex", best="f", worst="m", scores={"f": 0.95, "m": 0.75}, gap=interval(gap))
    card = grade(evaluation(groups=(group,)), DEFAULT)
    assert (card.vetoes[1].raised, card.verdict is Verdict.REJECT) == (raised, raised)
    assert "'f' is served" in card.vetoes[1].reason


def test_groups_that_cannot_be_compared_ask_a_person() -> None:
    card = grade(evaluation(groups=(GroupGap(column="sex", rows={"f": 100, "m": 2}),)), DEFAULT)
    assert (card.vetoes[1].raised, card.verdict) == (None, Verdict.ASK)


@pytest.mark.parametrize(
    ("difference", "train_score", "total", "verdict"),
    [
        ((0.001, -0.005, 0.02), 0.96, 80, Verdict.DEPLOY),
        ((0.001, -0.005, 0.02), 2.0, 70, Verdict.DEPLOY),
        ((-0.1, -0.2, 0.0), 0.96, 60, Verdict.ASK),
        ((-0.1, -0.2, 0.0), 2.0, 50, Verdict.ASK),
    ],
)
def test_the_total_decides_between_deploying_and_asking(
    difference: Three, train_score: float, total: int, verdict: Verdict
) -> None:
    card = grade(evaluation(difference=difference, train_score=train_score), DEFAULT)
    assert (card.total, card.verdict) == (total, verdict)


def test_below_fifty_is_rejected() -> None:
    card = grade(evaluation(difference=(-0.1, -0.2, 0.0), deviation=0.05, train_score=2.0), DEFAULT)
    assert (card.total, card.verdict, card.reason) == (45, Verdict.REJECT, "45 points, below 50")


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
@pytest.mark.parametrize("name", ["score", "fold_deviation", "train_score"])
def test_a_missing_number_is_unknown_and_asks_a_person(name: str, missing: float | None) -> None:
    whole = evaluation()  # what is built inside the process may still hold NaN, which no reader would have let through
    card = grade(
        whole.model_copy(update={"challenger": whole.challenger.model_copy(update={name: missing})}), DEFAULT
    )  # fmt: skip
    unknown = [criterion for criterion in card.criteria if criterion.points is None]
    assert unknown and all(criterion.reason.startswith("unknown") for criterion in unknown)
    assert card.verdict is Verdict.ASK


def test_without_a_comparison_improvement_is_unknown() -> None:
    card = grade(evaluation(difference=(None, None, None)), DEFAULT)
    assert (points(card)["improvement"], card.total, card.verdict) == (None, 60, Verdict.ASK)


def test_an_unknown_veto_asks_a_person_too() -> None:
    card = grade(evaluation(versus_baseline=(None, None, None)), DEFAULT)
    assert (card.vetoes[0].raised, card.total, card.verdict) == (None, 100, Verdict.ASK)


def test_the_least_that_an_own_trainer_may_say_asks_a_person_or_rejects() -> None:
    card = grade(Evaluation(rows_trained=1, rows_judged=1, chosen="mine", challenger=ChallengerScores()), DEFAULT)
    assert ([criterion.points for criterion in card.criteria], card.verdict) == ([None] * 5, Verdict.ASK)


def test_what_not_even_the_missing_points_could_save_is_rejected() -> None:
    bad: dict[str, Any] = {"difference": (-0.1, -0.2, 0.0), "score": 0.5, "macro_f1": 0.1, "deviation": None}
    assert grade(evaluation(**bad), DEFAULT).verdict is Verdict.REJECT


def test_the_card_survives_json() -> None:
    card = grade(evaluation(), DEFAULT)
    assert Card.model_validate_json(card.model_dump_json()) == card


FRACTION = st.none() | st.floats(0, 1)
INTERVALS = st.none() | st.tuples(*[st.floats(-1, 1)] * 3).map(lambda three: tuple(sorted(three)))
RUBRICS = st.sampled_from(
    [
        DEFAULT,
        Rubric(improvement_points_full=20, quality_points_full=50, quality_points_half=50, deploy_from_points=90),
        Rubric(baseline_veto=False, ask_from_points=0, deploy_from_points=0),
    ]
)


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    def drawn() -> Three:
        low, estimate, high = draw(INTERVALS) or (None, None, None)
        return estimate, low, high

    if draw(st.booleans()):
        low, estimate, high = draw(INTERVALS) or (None, None, None)
        return regression(r2=draw(FRACTION), mae=draw(FRACTION), saved=(estimate, low, high))
    return evaluation(
        difference=drawn(),
        versus_baseline=drawn(),
        score=draw(FRACTION),
        macro_f1=draw(FRACTION),
        deviation=draw(FRACTION),
        train_score=draw(FRACTION),
        slices=sliced(*(drawn() for _ in range(draw(st.integers(0, 2))))),
        groups=tuple(GroupGap(column="sex", gap=interval(drawn())) for _ in range(draw(st.integers(0, 1)))),
    )


@given(evaluations(), RUBRICS)
def test_every_card_is_bounded_and_adds_up(one: Evaluation, rubric: Rubric) -> None:
    card = grade(one, rubric)
    assert 0 <= card.total <= 100
    assert card.total == sum(criterion.points or 0 for criterion in card.criteria)
    assert all(0 <= (criterion.points or 0) <= criterion.maximum for criterion in card.criteria)


@given(evaluations(), RUBRICS)
def test_the_same_numbers_give_the_same_card(one: Evaluation, rubric: Rubric) -> None:
    assert grade(one, rubric) == grade(Evaluation.model_validate_json(one.model_dump_json()), rubric)


@given(evaluations(), RUBRICS)
def test_nothing_unknown_or_vetoed_is_ever_deployed(one: Evaluation, rubric: Rubric) -> None:
    card = grade(one, rubric)
    doubtful = any(criterion.points is None for criterion in card.criteria)
    if doubtful or any(veto.raised is not False for veto in card.vetoes):
        assert card.verdict is not Verdict.DEPLOY


@given(evaluations(), RUBRICS)
def test_a_criterion_without_its_numbers_has_no_points(one: Evaluation, rubric: Rubric) -> None:
    for criterion in grade(one, rubric).criteria:
        assert (criterion.points is None) == any(value is None for value in criterion.inputs.values())


CHANGES = {
    "score": 1, "macro_f1": 1, "deviation": -1, "train_score": -1,
}  # fmt: skip


@given(
    st.fixed_dictionaries(dict.fromkeys(CHANGES, st.floats(0, 1))), st.sampled_from(sorted(CHANGES)),
    st.floats(0, 1), RUBRICS,
)  # fmt: skip
def test_no_single_number_that_gets_better_costs_a_point(
    numbers: dict[str, float], name: str, other: float, rubric: Rubric
) -> None:
    worse, better = sorted((numbers[name], other), key=lambda value: CHANGES[name] * value)
    before: Any = {**numbers, name: worse}
    after: Any = {**numbers, name: better}
    assert grade(evaluation(**before), rubric).total <= grade(evaluation(**after), rubric).total


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), RUBRICS)
def test_a_better_difference_never_costs_points(
    low: float, estimate: float, more: float, higher: float, rubric: Rubric
) -> None:
    low, estimate = sorted((low, estimate))
    worse = evaluation(difference=(estimate, low, 2.0))
    better = evaluation(difference=(estimate + max(more, higher), low + min(more, higher), 4.0))
    assert grade(worse, rubric).total <= grade(better, rubric).total


@given(st.floats(0, 20), st.floats(0, 20), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_error_or_a_greater_r2_never_costs_points(mae: float, other: float, r2: float, higher: float) -> None:
    def total(**numbers: float) -> int:
        return grade(regression(**numbers), DEFAULT).total  # type: ignore[arg-type]

    assert total(mae=max(mae, other)) <= total(mae=min(mae, other))
    assert total(r2=min(r2, higher)) <= total(r2=max(r2, higher))


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
        ({"primary": "f2"}, "primary"),
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
    scores = {**evaluation().challenger.model_dump(), "score": math.nan}
    assert ChallengerScores.model_validate(scores).score is None


def test_an_interval_beside_its_estimate_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not contain"):
        Difference(estimate=0.5, low=0.6, high=0.7)
