"""The scorecard: why a challenger is deployed, asked about or rejected, in numbers that add up.

It sees an evaluation and a rubric and nothing else, so the same record always gives the same card. What is missing is
never counted as good: it is unknown, and then a person is asked.
"""

from __future__ import annotations

import math
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.evaluation import Difference, Evaluation
from shared.rubric import Rubric

DECIMALS = 9
"""Comparisons are made after rounding to this: 0.95 − 0.92 is meant to be within 0.03."""

Inputs = dict[str, float | None]


class Verdict(StrEnum):
    DEPLOY = "deploy"
    ASK = "ask"
    REJECT = "reject"


class Criterion(BaseModel):
    """One line of the card; points none means unknown: an input was missing."""

    model_config = ConfigDict(frozen=True)
    name: str
    points: int | None = None
    maximum: int
    inputs: Inputs
    reason: str


class Veto(BaseModel):
    """A condition that rejects whatever the points; raised none means unknown: an input was missing."""

    model_config = ConfigDict(frozen=True)
    name: str
    raised: bool | None = None
    inputs: Inputs
    reason: str


class Card(BaseModel):
    """The whole judgement: the total (0–100) sums the known points; the verdict follows from it and the vetoes."""

    model_config = ConfigDict(frozen=True)
    total: int
    verdict: Verdict
    reason: str
    criteria: tuple[Criterion, ...]
    vetoes: tuple[Veto, ...]


def grade(evaluation: Evaluation, rubric: Rubric) -> Card:
    """The card of one evaluation under one rubric; equal arguments give equal cards."""
    challenger = evaluation.challenger
    criteria = (
        _improvement(evaluation, rubric),
        _quality(challenger.accuracy, rubric),
        _deviation(challenger.fold_deviation, rubric),
        _gap(challenger.train_accuracy, challenger.accuracy, rubric),
        _balance(challenger.accuracy, challenger.macro_f1, rubric),
    )
    vetoes = (_majority(evaluation.versus_majority),) if rubric.majority_veto else ()
    total = sum(criterion.points or 0 for criterion in criteria)
    verdict, reason = _verdict(total, criteria, vetoes, rubric)
    return Card(total=total, verdict=verdict, reason=reason, criteria=criteria, vetoes=vetoes)


def _improvement(evaluation: Evaluation, rubric: Rubric) -> Criterion:
    difference = evaluation.difference
    known = _known(difference.estimate, difference.low, difference.high)
    if known is None:
        return _unknown("improvement", rubric.improvement_points_full, _inputs(difference))
    estimate, low, high = known
    clear = estimate > rubric.improvement_full_above and low > 0
    probable = estimate > 0 and low > rubric.improvement_half_low_above
    rival = "the champion" if evaluation.champion else "always answering the commonest label"
    return Criterion(
        name="improvement",
        points=_points(clear, probable, rubric.improvement_points_full, rubric.improvement_points_half),
        maximum=rubric.improvement_points_full,
        inputs=_inputs(difference),
        reason=f"{_signed(estimate)} points of accuracy against {rival} on the same rows (95 % interval"
        f" {_signed(low)} to {_signed(high)}): {_word(clear, probable, 'clear', 'probable', 'no')} improvement",
    )


def _quality(accuracy: float | None, rubric: Rubric) -> Criterion:
    inputs: Inputs = {"accuracy": accuracy}
    known = _known(accuracy)
    if known is None:
        return _unknown("quality", rubric.quality_points_full, inputs)
    high, fair = known[0] > rubric.quality_full_above, known[0] > rubric.quality_half_above
    return Criterion(
        name="quality",
        points=_points(high, fair, rubric.quality_points_full, rubric.quality_points_half),
        maximum=rubric.quality_points_full,
        inputs=inputs,
        reason=f"accuracy {known[0]:.1%} on rows it had not seen is {_word(high, fair, 'high', 'fair', 'low')}"
        f" (above {rubric.quality_full_above:.0%} high, above {rubric.quality_half_above:.0%} fair)",
    )


def _deviation(deviation: float | None, rubric: Rubric) -> Criterion:
    inputs: Inputs = {"fold_deviation": deviation}
    known = _known(deviation)
    if known is None:
        return _unknown("fold deviation", rubric.deviation_points_full, inputs)
    steady, fairly = known[0] <= rubric.deviation_full_within, known[0] <= rubric.deviation_half_within
    return Criterion(
        name="fold deviation",
        points=_points(steady, fairly, rubric.deviation_points_full, rubric.deviation_points_half),
        maximum=rubric.deviation_points_full,
        inputs=inputs,
        reason=f"the folds' accuracies have a standard deviation of {known[0]:.3f}:"
        f" {_word(steady, fairly, 'steady', 'fairly steady', 'unsteady')}",
    )


def _gap(train_accuracy: float | None, accuracy: float | None, rubric: Rubric) -> Criterion:
    inputs: Inputs = {"train_accuracy": train_accuracy, "accuracy": accuracy}
    known = _known(train_accuracy, accuracy)
    if known is None:
        return _unknown("train/test gap", rubric.gap_points_full, inputs)
    gap = round(known[0] - known[1], DECIMALS)
    small, moderate = gap <= rubric.gap_full_within, gap <= rubric.gap_half_within
    return Criterion(
        name="train/test gap",
        points=_points(small, moderate, rubric.gap_points_full, rubric.gap_points_half),
        maximum=rubric.gap_points_full,
        inputs=inputs,
        reason=f"accuracy {known[0]:.1%} on rows it has seen and {known[1]:.1%} on the same rows unseen:"
        f" a {_word(small, moderate, 'small', 'moderate', 'large')} gap",
    )


def _balance(accuracy: float | None, macro_f1: float | None, rubric: Rubric) -> Criterion:
    inputs: Inputs = {"accuracy": accuracy, "macro_f1": macro_f1}
    known = _known(accuracy, macro_f1)
    if known is None:
        return _unknown("accuracy vs macro F1", rubric.balance_points_full, inputs)
    distance = round(abs(known[0] - known[1]), DECIMALS)
    agree, nearly = distance <= rubric.balance_full_within, distance <= rubric.balance_half_within
    return Criterion(
        name="accuracy vs macro F1",
        points=_points(agree, nearly, rubric.balance_points_full, rubric.balance_points_half),
        maximum=rubric.balance_points_full,
        inputs=inputs,
        reason=f"accuracy {known[0]:.3f} and macro F1 {known[1]:.3f}"
        f" {_word(agree, nearly, 'agree', 'nearly agree', 'disagree: rare labels fare worse')}",
    )


def _majority(versus_majority: Difference) -> Veto:
    inputs = _inputs(versus_majority)
    known = _known(versus_majority.estimate, versus_majority.low, versus_majority.high)
    name = "not better than the majority class"
    if known is None:
        return Veto(name=name, raised=None, inputs=inputs, reason="the comparison with the majority class is missing")
    estimate, low, high = known
    raised = low <= 0
    finding = "not significantly better" if raised else "significantly better"
    return Veto(
        name=name,
        raised=raised,
        inputs=inputs,
        reason=f"{finding} than always answering the commonest label: {_signed(estimate)} points of accuracy"
        f" (95 % interval {_signed(low)} to {_signed(high)})",
    )


def _verdict(
    total: int, criteria: tuple[Criterion, ...], vetoes: tuple[Veto, ...], rubric: Rubric
) -> tuple[Verdict, str]:
    raised = [veto for veto in vetoes if veto.raised]
    if raised:
        return Verdict.REJECT, f"vetoed: {'; '.join(veto.reason for veto in raised)}"
    unknown = [criterion for criterion in criteria if criterion.points is None]
    best = total + sum(criterion.maximum for criterion in unknown)
    if best < rubric.ask_from_points:
        return Verdict.REJECT, f"{total} points, below {rubric.ask_from_points}"
    missing = [criterion.name for criterion in unknown] + [veto.name for veto in vetoes if veto.raised is None]
    if missing:
        return Verdict.ASK, f"{total} points, but unknown: {', '.join(missing)}; a person decides"
    if total >= rubric.deploy_from_points:
        return Verdict.DEPLOY, f"{total} points, at least {rubric.deploy_from_points}"
    return (
        Verdict.ASK,
        f"{total} points, fewer than the {rubric.deploy_from_points} to deploy unasked: a person decides",
    )


def _known(*values: float | None) -> tuple[float, ...] | None:
    """The values, rounded for comparison, or none if any of them is missing or not a finite number."""
    present = [round(value, DECIMALS) for value in values if value is not None and math.isfinite(value)]
    return tuple(present) if len(present) == len(values) else None


def _unknown(name: str, maximum: int, inputs: Inputs) -> Criterion:
    missing = ", ".join(key for key, value in inputs.items() if _known(value) is None)
    return Criterion(name=name, points=None, maximum=maximum, inputs=inputs, reason=f"unknown: no number for {missing}")


def _points(full: bool, half: bool, points_full: int, points_half: int) -> int:
    if full:
        return points_full
    return points_half if half else 0


def _word(full: bool, half: bool, best: str, middle: str, worst: str) -> str:
    if full:
        return best
    return middle if half else worst


def _inputs(difference: Difference) -> Inputs:
    return {"estimate": difference.estimate, "low": difference.low, "high": difference.high}


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"
