"""The scorecard: why a challenger is deployed, asked about or rejected, in numbers that add up.

It sees an evaluation and a rubric and nothing else, so the same record always gives the same card: the one in the
training's report, in the decision and in the event are equal because they are computed from equal arguments. What is
missing is never counted as good: it is unknown, and then a person is asked. Nothing costs points that is an improvement
in any one number, all others being the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from shared.evaluation import Difference, Evaluation, GroupGap, SliceScore
from shared.rubric import Rubric

DECIMALS = 9
"""Comparisons are made after rounding to this: 0.95 − 0.92 is meant to be within 0.03."""

# In the order of their names, so that a card is the same bytes before and after the ledger.
Inputs = Annotated[dict[str, float | None], AfterValidator(lambda given: dict(sorted(given.items())))]


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
    """A condition that rejects whatever the points; raised none means unknown: an input was missing.

    `doubts_rows` says that it is the new rows that are doubted: if raised, later runs do not train on them.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    raised: bool | None = None
    doubts_rows: bool = False
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
    rubric_version: int = 1
    rubric_digest: str = ""

    @property
    def doubts_rows(self) -> bool:
        """Whether the new rows themselves are doubted, so that later runs do not train on them either."""
        return any(veto.raised and veto.doubts_rows for veto in self.vetoes)

    def lines(self) -> tuple[str, ...]:
        """The card as people read it: a line per criterion, then the vetoes that were raised or could not be judged."""
        vetoes = [f"veto: {veto.reason}" for veto in self.vetoes if veto.raised is not False]
        return (*(_line(criterion) for criterion in self.criteria), *vetoes)


def grade(evaluation: Evaluation, rubric: Rubric) -> Card:
    """The card of one evaluation under one rubric; equal arguments give equal cards."""
    challenger = evaluation.challenger
    criteria = (
        _improvement(evaluation, rubric),
        _quality(evaluation, rubric),
        _deviation(challenger.fold_deviation, rubric),
        _gap(challenger.train_score, challenger.score, rubric),
        _on_every_label(evaluation, rubric) if evaluation.task == "classification" else _typical(evaluation, rubric),
    )
    vetoes = tuple(_vetoes(evaluation, rubric))
    total = sum(criterion.points or 0 for criterion in criteria)
    verdict, reason = _verdict(total, criteria, vetoes, rubric)
    return Card(
        total=total, verdict=verdict, reason=reason, criteria=criteria, vetoes=vetoes,
        rubric_version=rubric.version, rubric_digest=rubric.digest,
    )  # fmt: skip


def _improvement(evaluation: Evaluation, rubric: Rubric) -> Criterion:
    compared = evaluation.comparison(evaluation.primary)
    gain, full = compared.gain, rubric.improvement_points_full
    known = _known(gain.estimate, gain.low, gain.high)
    if known is None:
        return _unknown("improvement", full, _inputs(gain))
    estimate, low, high = known
    clear = estimate > rubric.improvement_full_above and low > 0
    probable = estimate > 0 and low > rubric.improvement_half_low_above
    rival = "the champion" if evaluation.champion else "always giving the same answer"
    unit = f"% less {compared.metric}" if compared.relative else f"points of {compared.metric}"
    return Criterion(
        name="improvement",
        points=_points(clear, probable, full, rubric.improvement_points_half),
        maximum=full,
        inputs=_inputs(gain),
        reason=f"{_signed(estimate)} {unit} against {rival} on the same rows (95 % interval"
        f" {_signed(low)} to {_signed(high)}): {_word(clear, probable, 'clear', 'probable', 'no')} improvement",
    )


def _quality(evaluation: Evaluation, rubric: Rubric) -> Criterion:
    classifies = evaluation.task == "classification"
    name = "accuracy" if classifies else "R²"
    bounds = (rubric.quality_full_above, rubric.quality_half_above)
    full_above, half_above = bounds if classifies else (rubric.r2_full_above, rubric.r2_half_above)
    inputs: Inputs = {"score": evaluation.challenger.score}
    known = _known(evaluation.challenger.score)
    if known is None:
        return _unknown("quality", rubric.quality_points_full, inputs)
    high, fair = known[0] > full_above, known[0] > half_above
    return Criterion(
        name="quality",
        points=_points(high, fair, rubric.quality_points_full, rubric.quality_points_half),
        maximum=rubric.quality_points_full,
        inputs=inputs,
        reason=f"{name} {known[0]:.3f} on rows it had not seen is {_word(high, fair, 'high', 'fair', 'low')}"
        f" (above {full_above:g} high, above {half_above:g} fair)",
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
        reason=f"the folds' scores have a standard deviation of {known[0]:.3f}:"
        f" {_word(steady, fairly, 'steady', 'fairly steady', 'unsteady')}",
    )


def _gap(train_score: float | None, score: float | None, rubric: Rubric) -> Criterion:
    inputs: Inputs = {"train_score": train_score, "score": score}
    known = _known(train_score, score)
    if known is None:
        return _unknown("train/test gap", rubric.gap_points_full, inputs)
    gap = round(known[0] - known[1], DECIMALS)
    small, moderate = gap <= rubric.gap_full_within, gap <= rubric.gap_half_within
    return Criterion(
        name="train/test gap",
        points=_points(small, moderate, rubric.gap_points_full, rubric.gap_points_half),
        maximum=rubric.gap_points_full,
        inputs=inputs,
        reason=f"{known[0]:.3f} on rows it has seen and {known[1]:.3f} on the same rows unseen:"
        f" a {_word(small, moderate, 'small', 'moderate', 'large')} gap",
    )


def _on_every_label(evaluation: Evaluation, rubric: Rubric) -> Criterion:
    macro_f1 = evaluation.comparison("macro_f1").challenger
    inputs: Inputs = {"macro_f1": macro_f1}
    known = _known(macro_f1)
    if known is None:
        return _unknown("every label", rubric.evenness_points_full, inputs)
    well, fairly = known[0] > rubric.macro_f1_full_above, known[0] > rubric.macro_f1_half_above
    return Criterion(
        name="every label",
        points=_points(well, fairly, rubric.evenness_points_full, rubric.evenness_points_half),
        maximum=rubric.evenness_points_full,
        inputs=inputs,
        reason=f"macro F1 {known[0]:.3f}: {_word(well, fairly, 'well', 'fairly well', 'badly')} on every label",
    )


def _typical(evaluation: Evaluation, rubric: Rubric) -> Criterion:
    error = evaluation.comparison("mae").challenger
    of_mean = evaluation.baseline.metrics.get("mae") if evaluation.baseline else None
    inputs: Inputs = {"mae": error, "mae_of_the_mean": of_mean}
    known = _known(error, of_mean)
    if known is None or known[1] <= 0:
        return _unknown("typical row", rubric.evenness_points_full, inputs)
    share = round(known[0] / known[1], DECIMALS)
    well, fairly = share <= rubric.typical_error_full_within, share <= rubric.typical_error_half_within
    return Criterion(
        name="typical row",
        points=_points(well, fairly, rubric.evenness_points_full, rubric.evenness_points_half),
        maximum=rubric.evenness_points_full,
        inputs=inputs,
        reason=f"the mean error is {share:.0%} of that of always answering the mean:"
        f" {_word(well, fairly, 'well', 'fairly well', 'badly')} on the typical row",
    )


def _vetoes(evaluation: Evaluation, rubric: Rubric) -> Iterator[Veto]:
    if rubric.baseline_veto:
        yield _baseline(evaluation)
    for column in dict.fromkeys(one.column for one in evaluation.slices):
        yield _slices(column, [one for one in evaluation.slices if one.column == column], rubric)
    for group in evaluation.groups:
        yield _groups(group, rubric)


def _baseline(evaluation: Evaluation) -> Veto:
    compared = evaluation.versus_baseline
    gain = compared.gain if compared else Difference()
    name = "not better than always giving the same answer"
    inputs = _inputs(gain)
    known = _known(gain.estimate, gain.low, gain.high)
    if known is None:
        reason = "the comparison with always giving the same answer is missing"
        return Veto(name=name, raised=None, doubts_rows=True, inputs=inputs, reason=reason)
    estimate, low, high = known
    raised = low <= 0
    finding = "not significantly better" if raised else "significantly better"
    return Veto(
        name=name,
        raised=raised,
        doubts_rows=True,
        inputs=inputs,
        reason=f"{finding} than always giving the same answer: {_signed(estimate)}"
        f" (95 % interval {_signed(low)} to {_signed(high)})",
    )


def _slices(column: str, slices: list[SliceScore], rubric: Rubric) -> Veto:
    bound, name = rubric.slice_loss_veto_above, f"worse in a slice by {column!r}"
    gains = {one.value: one.comparison.gain for one in slices if one.comparison is not None}
    judged = {value: lost for value, gain in gains.items() if (lost := _lost(gain, bound)) is not None}
    inputs = {value: gains[value].estimate for value in judged}
    if not judged:
        return Veto(name=name, raised=None, inputs=inputs, reason=f"no slice by {column!r} has enough judged rows")
    worse = [f"{value!r} ({_signed(gains[value].estimate or 0)})" for value, lost in judged.items() if lost]
    finding = f"significantly worse in {', '.join(worse)}" if worse else "in no slice significantly worse"
    return Veto(
        name=name, raised=bool(worse), inputs=inputs, reason=f"by {column!r}: {finding}, by more than {bound:g}"
    )


def _lost(gain: Difference, bound: float) -> bool | None:
    known = _known(gain.estimate)
    if known is None or known[0] >= -bound:
        return None if known is None else False
    end = _known(gain.high)
    return None if end is None else end[0] < 0


def _groups(group: GroupGap, rubric: Rubric) -> Veto:
    bound, name = rubric.group_gap_veto_above, f"unequal to groups by {group.column!r}"
    known = _known(group.gap.estimate, group.gap.low)
    inputs: Inputs = {**_inputs(group.gap), **group.scores}
    if known is None:
        reason = f"fewer than two groups by {group.column!r} have enough judged rows"
        return Veto(name=name, raised=None, inputs=inputs, reason=reason)
    estimate, low = known
    raised = estimate > bound and low > 0
    return Veto(
        name=name,
        raised=raised,
        inputs=inputs,
        reason=f"by {group.column!r}: {group.best!r} is served {100 * estimate:.1f} points better than {group.worst!r},"
        f" {'significantly, and ' if raised else ''}{'more' if estimate > bound else 'not more'} than {100 * bound:g}",
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


def _line(criterion: Criterion) -> str:
    points = "unknown" if criterion.points is None else str(criterion.points)
    return f"{criterion.name}: {points} of {criterion.maximum}; {criterion.reason}"


def _known(*values: float | None) -> tuple[float, ...] | None:
    """The values, rounded for comparison, or none if any of them is missing or not a finite number."""
    present = [round(value, DECIMALS) for value in values if value is not None and math.isfinite(value)]
    return tuple(present) if len(present) == len(values) else None


def _unknown(name: str, maximum: int, inputs: Inputs) -> Criterion:
    missing = ", ".join(key for key, value in inputs.items() if _known(value) is None) or "a bound"
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
