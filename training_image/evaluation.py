"""Puts the numbers of a training together into the one evaluation that the decision sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.evaluation import Candidate, ChallengerScores, ChampionScores, Evaluation, Majority, MetricComparison
from training_image.comparison import accuracy, macro_f1, paired_difference
from training_image.export import Check
from training_image.libraries import library_versions
from training_image.metrics import Side, aligned, compare
from training_image.onnx_model import OnnxModel
from training_image.rows import Floats, Table
from training_image.selection import Tried

Answers = NDArray[np.object_]


@dataclass(frozen=True)
class Champion:
    """The production model and what it is called there."""

    model: OnnxModel
    run: str
    version: str | None = None


@dataclass(frozen=True)
class Judged:
    """Labels of the judged rows: the true ones and what each side answered; `seen` is by the fit that had seen them."""

    truth: Answers
    challenger: Answers
    seen: Answers
    champion: Answers | None
    majority: str
    comparisons: tuple[MetricComparison, ...]


def compared(
    table: Table,
    names: Answers,
    codes: NDArray[np.int64],
    chosen: Tried,
    champion: Champion | None,
    given: Floats | None,
) -> tuple[MetricComparison, ...]:
    """Every metric on the judged rows: out-of-fold challenger against champion, or against the labels' shares.

    `names` and `codes` are the training labels and every row's; `given` is the champion's [judged rows, its labels].
    """
    own = tuple(names.tolist())
    shares = np.tile(np.bincount(codes) / len(codes), (int(table.judged.sum()), 1))
    rival, rival_knows = (
        (shares, own) if champion is None or given is None else (given, champion.model.signature.labels)
    )
    labels = tuple(sorted({*own, *rival_knows}))
    truth = np.searchsorted(np.array(labels, dtype=object), table.target[table.judged])
    challenger = Side(truth, aligned(chosen.probabilities[table.judged], own, labels))
    return compare(challenger, Side(truth, aligned(rival, rival_knows, labels)))


def majority_label(target: Answers) -> str:
    """The commonest label of the training rows; of equally common ones the first in order."""
    labels, counts = np.unique(target, return_counts=True)
    return str(labels[counts.argmax()])


def evaluate(
    table: Table,
    judged: Judged,
    tried: Sequence[Tried],
    chosen: Tried,
    champion: Champion | None,
    check: Check,
    seeds: dict[str, int],
) -> Evaluation:
    """The evaluation: challenger against champion (or, without one, the majority class) on the judged rows."""
    challenger_right = judged.challenger == judged.truth
    majority_right = judged.truth == judged.majority
    rival_right = majority_right if judged.champion is None else judged.champion == judged.truth
    return Evaluation(
        rows_trained=len(table.target),
        rows_judged=len(judged.truth),
        labels=tuple(sorted(set(table.target.tolist()))),
        chosen=chosen.candidate.name,
        candidates=tuple(_candidate(one) for one in tried),
        challenger=_challenger(judged, chosen),
        champion=_champion(judged, champion),
        majority=Majority(label=judged.majority, accuracy=float(majority_right.mean())),
        difference=paired_difference(challenger_right, rival_right),
        versus_majority=paired_difference(challenger_right, majority_right),
        comparisons=judged.comparisons,
        folds=len(chosen.fold_accuracies),
        seeds=seeds,
        library_versions=library_versions(),
        rows_trained_sha256=table.trained_sha256,
        rows_judged_sha256=table.judged_sha256,
        onnx_rows_checked=check.rows,
        onnx_largest_difference=check.largest_difference,
    )


def _candidate(tried: Tried) -> Candidate:
    return Candidate(name=tried.candidate.name, fold_accuracies=tried.fold_accuracies, accuracy=tried.accuracy)


def _challenger(judged: Judged, chosen: Tried) -> ChallengerScores:
    return ChallengerScores(
        accuracy=accuracy(judged.truth, judged.challenger),
        macro_f1=macro_f1(judged.truth, judged.challenger),
        fold_accuracies=chosen.fold_accuracies,
        fold_deviation=float(np.std(chosen.fold_accuracies)),
        train_accuracy=accuracy(judged.truth, judged.seen),
    )


def _champion(judged: Judged, champion: Champion | None) -> ChampionScores | None:
    if champion is None or judged.champion is None:
        return None
    return ChampionScores(
        run=champion.run,
        version=champion.version,
        accuracy=accuracy(judged.truth, judged.champion),
        macro_f1=macro_f1(judged.truth, judged.champion),
    )
