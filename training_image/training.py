"""One training attempt from rows to a model and its evaluation, and nothing else touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.evaluation import Evaluation, Task
from shared.settings import Settings
from shared.tables.cells import Kind
from shared.tables.forms import Dialect
from training_image.candidates import candidates
from training_image.evaluation import Champion, Judged, evaluate, judge
from training_image.export import check, golden, to_onnx
from training_image.goals import Goal, goal_of, metric_of
from training_image.metrics import Doubles
from training_image.onnx_model import OnnxModel
from training_image.preprocessing import Shape, matrix
from training_image.rows import Table, Upload, read_table
from training_image.selection import assign_folds, best, cross_validate
from training_image.signature import NamedFeature, Signature
from training_image.threads import threads_for


@dataclass(frozen=True)
class Plan:
    """What to train: the seed decides folds and fits, so the same plan on the same bytes gives the same model."""

    model: str
    run: str
    settings: Settings
    schema: Mapping[str, Kind] | None = None


@dataclass(frozen=True)
class Trained:
    """The challenger as it would be served, its golden answers and its evaluation, and what these were made from.

    `unseen` are the answers [judged rows, outputs] by fits that had not seen the row.
    """

    plan: Plan
    model: OnnxModel
    golden: dict[str, object]
    evaluation: Evaluation
    table: Table
    shape: Shape
    goal: Goal
    judged: Judged
    unseen: Doubles


def train(
    plan: Plan,
    earlier: Sequence[Upload],
    window: Sequence[Upload],
    champion: Champion | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Trains on earlier and new rows and judges on the new ones, which no answer that counts was fitted on.

    `tell` hears a line at each step. Raises BadData or Untrainable when these rows give no model, ExportDiffers when
    the exported model is not the fitted one.
    """
    settings = plan.settings
    seed, folds = settings.training.seed, settings.training.folds
    table = _table(plan, earlier, window)
    tell(f"{len(table.target)} rows to train on, {int(table.judged.sum())} of them new, {len(table.features)} features")
    goal = goal_of(table, settings.data.target, _task(settings, champion))
    primary = metric_of(goal, settings.decision.primary)
    wanted = candidates(goal.task, settings.training.candidates)
    rows = matrix(table.numbers, table.texts)
    shape = Shape(table.numbers.shape[1], table.texts.shape[1], settings.preprocessing)
    assigned = assign_folds(goal.strata, table.judged, folds, seed)
    tried = []
    with threads_for(rows.size):
        for candidate in wanted:
            tried.append(cross_validate(candidate, shape, rows, goal, assigned, seed, primary))
            tell(f"{candidate.name}: {primary.name} {tried[-1].score:.4g} in {folds}-fold cross-validation")
        chosen = best(tried, primary)
        fitted = chosen.candidate.build(shape, seed).fit(rows, goal.target)
    exported = to_onnx(fitted, _signature(plan, table, goal))
    proof = check(fitted, exported, table, goal)
    tell(f"{chosen.candidate.name} exported; it answers {proof.rows} rows as it was fitted")
    seen_by_champion = _for_champion(champion, table, plan, window)
    judged = judge(goal, table, chosen, goal.answers(fitted, rows[table.judged]), champion, seen_by_champion)
    seeds = {"folds": seed, "fit": seed}
    evaluation = evaluate(
        table, goal, judged, tried, chosen, champion, proof, primary, settings.slices, seeds
    )  # fmt: skip
    return Trained(
        plan, exported, golden(exported, table), evaluation, table, shape, goal, judged, chosen.answers[table.judged]
    )


def _table(plan: Plan, earlier: Sequence[Upload], window: Sequence[Upload]) -> Table:
    settings, prepared = plan.settings, plan.settings.preprocessing
    kinds: dict[str, Kind] = dict.fromkeys(prepared.categories, "text")
    looked_at = tuple(dict.fromkeys((*settings.slices.columns, *settings.slices.groups)))
    data = settings.data
    return read_table(earlier, window, data.target, _dialect(plan), plan.schema, kinds, prepared.ignored, looked_at)


def _dialect(plan: Plan) -> Dialect:
    return Dialect(plan.settings.data.delimiter, plan.settings.data.quote)


def _for_champion(champion: Champion | None, table: Table, plan: Plan, window: Sequence[Upload]) -> Table:
    """The judged rows as the champion takes them: other settings may have made other features of the same columns."""
    if champion is None or champion.model.reads(table):
        return table
    kinds = {feature.name: feature.type for feature in champion.model.signature.features}
    data = plan.settings.data
    return read_table([], window, data.target, _dialect(plan), plan.schema, kinds)


def _task(settings: Settings, champion: Champion | None) -> Task | None:
    """What the settings say; else what production does, so that one window of few values changes nothing."""
    return settings.training.task or (champion.model.signature.task if champion else None)


def _signature(plan: Plan, table: Table, goal: Any) -> Signature:
    return Signature(
        model=plan.model,
        run=plan.run,
        task=goal.task,
        target=plan.settings.data.target,
        features=tuple(NamedFeature(name=feature.name, type=feature.kind) for feature in table.features),
        labels=goal.names,
    )
