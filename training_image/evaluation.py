"""Puts the numbers of a training together into the one evaluation that the decision sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.evaluation import Baseline, Candidate, ChallengerScores, ChampionScores, Evaluation
from shared.settings import SliceSettings
from training_image.errors import Untrainable
from training_image.export import Check
from training_image.goals import Goal
from training_image.libraries import library_versions
from training_image.metrics import Doubles, Metric, compare
from training_image.onnx_model import OnnxModel
from training_image.rows import Table
from training_image.selection import Tried
from training_image.slices import group_gaps, slice_scores

MAX_WARNINGS = 20


@dataclass(frozen=True)
class Champion:
    """The production model and what it is called there."""

    model: OnnxModel
    run: str
    version: str | None = None


@dataclass(frozen=True)
class Judged:
    """Both models' answers to the judged rows as sides of a comparison, and the answers that look at no feature.

    `seen` is the final fit's side, which has seen the rows; `own` is the challenger's, over its own labels alone.
    """

    challenger: Any
    rival: Any
    own: Any
    constant: Any
    seen: Any


def judge(
    goal: Goal, table: Table, chosen: Tried, seen: Doubles, champion: Champion | None, champions_table: Table
) -> Judged:
    """Challenger (out of fold) and champion on the judged rows; without a champion, against the constant answer.

    `champions_table` has the judged rows with the champion's features. Raises Untrainable when the champion answers
    another kind of question.
    """
    rows = table.judged
    constant = goal.constant(int(rows.sum()))
    rival, labels = (constant, goal.names) if champion is None else _champions(goal, champions_table, champion)
    challenger, other = goal.pair(chosen.answers[rows], rival, labels, rows)
    return Judged(
        challenger=challenger,
        rival=other,
        own=goal.side(chosen.answers[rows], rows),
        constant=goal.side(constant, rows),
        seen=goal.side(seen, rows),
    )


def evaluate(
    table: Table,
    goal: Goal,
    judged: Judged,
    tried: Sequence[Tried],
    chosen: Tried,
    champion: Champion | None,
    proof: Check,
    primary: Metric,
    slices: SliceSettings,
    seeds: Mapping[str, int],
) -> Evaluation:
    """The evaluation: challenger against champion (or, without one, the constant answer) on the judged rows."""
    headline = next(metric for metric in goal.metrics if metric.name == goal.headline)
    return Evaluation(
        task=goal.task,
        rows_trained=len(table.target),
        rows_judged=int(table.judged.sum()),
        labels=goal.names,
        chosen=chosen.candidate.name,
        candidates=tuple(_candidate(one) for one in tried),
        challenger=ChallengerScores(
            score=_value(headline, judged.own),
            train_score=_value(headline, judged.seen),
            fold_scores=chosen.headline,
            fold_deviation=float(np.std(chosen.headline)),
        ),
        champion=ChampionScores(run=champion.run, version=champion.version) if champion else None,
        primary=primary.name,
        comparisons=compare(judged.challenger, judged.rival, goal.metrics),
        baseline=Baseline(
            answer=goal.constant_answer, metrics={one.name: _value(one, judged.constant) for one in goal.metrics}
        ),
        versus_baseline=compare(judged.own, judged.constant, (primary,))[0],
        slices=slice_scores(table, slices, judged.challenger, judged.rival, primary),
        groups=group_gaps(table, slices, judged.own, headline),
        folds=len(chosen.headline),
        warnings=tuple(_warnings(table))[:MAX_WARNINGS],
        seeds=dict(seeds),
        library_versions=library_versions(),
        rows_trained_sha256=table.trained_sha256,
        rows_judged_sha256=table.judged_sha256,
        onnx_rows_checked=proof.rows,
        onnx_largest_difference=proof.largest_difference,
    )


def _champions(goal: Goal, table: Table, champion: Champion) -> tuple[Doubles, tuple[str, ...]]:
    signature = champion.model.signature
    if signature.task != goal.task:
        raise Untrainable([f"training.task: a {goal.task} cannot be compared with the champion's {signature.task}"])
    return champion.model.judged_answers(table).astype(np.float64), signature.labels


def _value(metric: Metric, side: Any) -> float | None:
    measured = metric.measure(side)
    return measured.value if measured else None


def _candidate(tried: Tried) -> Candidate:
    return Candidate(name=tried.candidate.name, fold_scores=tried.primary, score=tried.score)


def _warnings(table: Table) -> Iterator[str]:
    """What is no reason not to train, and yet what somebody should know."""
    for name, numbers in zip(table.names("number"), table.numbers.T, strict=True):
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            yield f"column {name!r} is empty in every row"
        elif (known == known[0]).all():
            yield f"column {name!r} has the same number in every row"
    for name, texts in zip(table.names("text"), table.texts.T, strict=True):
        if (texts == texts[0]).all():
            yield f"column {name!r} has the same text in every row"
