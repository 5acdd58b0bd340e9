"""One training attempt from bytes to bytes: rows in, evaluation and artefacts out, and nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.evaluation import Evaluation
from shared.tables.cells import Kind
from shared.tables.forms import CSV, Dialect
from training_image.candidates import Shape, candidates, matrix
from training_image.evaluation import Champion, Judged, compared, evaluate, majority_label
from training_image.export import check, golden, to_onnx
from training_image.onnx_model import OnnxModel
from training_image.rows import Table, Upload, read_table
from training_image.selection import assign_folds, best, cross_validate
from training_image.signature import NamedFeature, Signature

FOLDS = 5


@dataclass(frozen=True)
class Plan:
    """What to train: the seed decides folds and fits, so the same plan on the same bytes gives the same model."""

    model: str
    run: str
    target: str
    seed: int = 0
    folds: int = FOLDS
    dialect: Dialect = CSV
    schema: Mapping[str, Kind] | None = None


@dataclass(frozen=True)
class Trained:
    """The challenger as it would be served, its golden answers and its evaluation."""

    model: OnnxModel
    golden: dict[str, object]
    evaluation: Evaluation

    def artefacts(self) -> dict[str, bytes]:
        """The files of the attempt by name."""
        return {
            "model.onnx": self.model.content,
            "signature.json": _json(self.model.signature.model_dump(mode="json")),
            "golden.json": _json(self.golden),
            "evaluation.json": _json(self.evaluation.model_dump(mode="json")),
        }


def train(
    plan: Plan,
    earlier: Sequence[Upload],
    window: Sequence[Upload],
    champion: Champion | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Trains on earlier and new rows and judges on the new ones, which no answer that counts was fitted on.

    `tell` hears a line at each step. Raises BadData when the rows cannot be trained on, ExportDiffers when the
    exported model is not the fitted one.
    """
    table = read_table(earlier, window, plan.target, plan.dialect, plan.schema)
    tell(f"{len(table.target)} rows to train on, {int(table.judged.sum())} of them new, {len(table.features)} features")
    names, codes = np.unique(table.target, return_inverse=True)
    rows, shape = matrix(table.numbers, table.texts), Shape(table.numbers.shape[1], table.texts.shape[1])
    assigned = assign_folds(codes, table.judged, plan.folds, plan.seed)
    tried = []
    for candidate in candidates():
        tried.append(cross_validate(candidate, shape, rows, codes, assigned, plan.seed))
        tell(f"{candidate.name}: accuracy {tried[-1].accuracy:.3f} in {plan.folds}-fold cross-validation")
    chosen = best(tried)
    fitted = chosen.candidate.build(shape, plan.seed).fit(rows, codes)
    exported = to_onnx(fitted, _signature(plan, table, names))
    proof = check(fitted, exported, table)
    tell(f"{chosen.candidate.name} exported; it answers {proof.rows} rows as it was fitted")
    given = champion.model.judged_probabilities(table) if champion else None
    judged = Judged(
        truth=table.target[table.judged],
        challenger=names[chosen.predictions[table.judged]],
        seen=names[fitted.predict(rows[table.judged])],
        champion=champion.model.labels_of(given) if champion and given is not None else None,
        majority=majority_label(table.target),
        comparisons=compared(table, names, codes, chosen, champion, given),
    )
    seeds = {"folds": plan.seed, "fit": plan.seed}
    evaluation = evaluate(table, judged, tried, chosen, champion, proof, seeds)
    return Trained(exported, golden(exported, table), evaluation)


def _signature(plan: Plan, table: Table, labels: Any) -> Signature:
    return Signature(
        model=plan.model,
        run=plan.run,
        target=plan.target,
        features=tuple(NamedFeature(name=feature.name, type=feature.kind) for feature in table.features),
        labels=tuple(labels.tolist()),
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()
