"""Everything that an attempt leaves behind, as files by name: what serves, what proves it, and what people read."""

from __future__ import annotations

import json

from shared.artefacts import REPORT
from training_image.anomaly import AnomalyModel, train_anomaly
from training_image.baseline import baseline_of
from training_image.lineage import Lineage
from training_image.report.findings import report_of
from training_image.report.model_card import model_card
from training_image.report.page import page
from training_image.signature import AnomalySignature
from training_image.training import Trained


def pack(trained: Trained, lineage: Lineage) -> dict[str, bytes]:
    """The files of the attempt; raises ExportDiffers when the exported anomaly model is not the fitted one."""
    training = trained.plan.settings.training
    anomaly = train_anomaly(
        trained.table, trained.shape, trained.model.signature, training.seed, training.anomalous_share
    )
    report = report_of(trained, lineage, anomaly.threshold)
    return {
        REPORT: page(report).encode(),
        "report.json": as_json(report.model_dump(mode="json")),
        "README.md": model_card(report).encode(),
        "model.onnx": trained.model.content,
        "anomaly.onnx": anomaly.content,
        "signature.json": _signature(trained, anomaly),
        "baseline.json": _baseline(trained, anomaly),
        "golden.json": as_json(trained.golden),
        "evaluation.json": as_json(trained.evaluation.model_dump(mode="json")),
        "lineage.json": as_json(lineage.model_dump(mode="json")),
    }


def _baseline(trained: Trained, anomaly: AnomalyModel) -> bytes:
    return baseline_of(trained.table, trained.goal, trained.unseen, anomaly.scores)


def as_json(value: object) -> bytes:
    """Readable, and the same for equal values."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1).encode()


def _signature(trained: Trained, anomaly: AnomalyModel) -> bytes:
    known = trained.model.signature.model_copy(update={"anomaly": AnomalySignature(threshold=anomaly.threshold)})
    return as_json(known.model_dump(mode="json"))
