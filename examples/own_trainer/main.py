"""A trainer of one's own: nearest centroids in plain numpy, knowing nothing of Serin but the contract.

The contract is in docs/own-trainer.md. In short: SERIN_INPUTS names the JSON with the exact rows, the settings and the
champion; what was made goes to ARTIFACTS_DIR, `evaluation.json` last; exit 0. All else is the trainer's business.
"""

import csv
import io
import json
import os
import sys

import numpy as np
import onnxruntime
from google.cloud import storage
from onnx import TensorProto, helper

FOLDS = 5
Z = 1.96


def main() -> None:
    """One attempt."""
    bucket = Bucket()
    inputs = json.loads(bucket.read(os.environ["SERIN_INPUTS"]))["data"]
    target, run = inputs["settings"]["data"]["target"], inputs["run"]
    earlier, window = rows_of(inputs["earlier"], bucket), rows_of(inputs["uploads"], bucket)
    features = [name for name, kind in inputs["schema"].items() if kind == "number" and name != target]
    rows, truth = table(earlier + window, features), np.array([row[target] for row in earlier + window])
    judged = np.arange(len(truth)) >= len(earlier)
    labels = np.unique(truth)
    print(f"{len(truth)} rows, {judged.sum()} of them new, {len(labels)} labels", flush=True)

    folds = np.random.default_rng(0).permutation(len(truth)) % FOLDS
    unseen = np.empty_like(truth)
    for fold in range(FOLDS):
        unseen[folds == fold] = answers(
            graph(rows[folds != fold], truth[folds != fold], labels), rows[folds == fold], labels
        )
    model = graph(rows, truth, labels)
    values, counts = np.unique(truth, return_counts=True)
    constant = np.full(len(truth), values[counts.argmax()])
    rival = champion(inputs["champion"], rows, bucket)
    right = [float((unseen[folds == fold] == truth[folds == fold]).mean()) for fold in range(FOLDS)]
    evaluation = {
        "rows_trained": len(truth),
        "rows_judged": int(judged.sum()),
        "chosen": "nearest centroid",
        "challenger": {
            "score": float((unseen == truth)[judged].mean()),
            "train_score": float((answers(model, rows, labels) == truth)[judged].mean()),
            "fold_scores": right,
            "fold_deviation": float(np.std(right)),
        },
        "champion": {"run": inputs["champion"]["run"]} if inputs["champion"] else None,
        "comparisons": [
            accuracy(truth[judged], unseen[judged], (constant if rival is None else rival)[judged]),
            {"metric": "macro_f1", "higher_is_better": True, "challenger": macro_f1(truth[judged], unseen[judged])},
        ],
        "versus_baseline": accuracy(truth[judged], unseen[judged], constant[judged]),
    }
    signature = {
        "model": run.rsplit("-", 1)[0], "run": run, "task": "classification", "target": target,
        "labels": labels.tolist(), "features": [{"name": name, "type": "number"} for name in features],
    }  # fmt: skip
    place = os.environ["ARTIFACTS_DIR"]
    bucket.create(f"{place}model.onnx", model)
    bucket.create(f"{place}signature.json", json.dumps(signature).encode())
    bucket.create(f"{place}golden.json", json.dumps(golden(model, rows[judged][:10], features, labels)).encode())
    bucket.create(f"{place}evaluation.json", json.dumps(evaluation).encode())  # last: now the attempt is complete


class Bucket:
    """Objects by their gs:// address; a generation is read exactly, and nothing is ever overwritten."""

    def __init__(self):
        self.client = storage.Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT"))

    def read(self, address, generation=None):
        return self.blob(address, generation).download_as_bytes()

    def create(self, address, content):
        self.blob(address).upload_from_string(content, if_generation_match=0)

    def blob(self, address, generation=None):
        bucket, _, name = address.removeprefix("gs://").partition("/")
        return self.client.bucket(bucket).blob(name, generation=generation)


def rows_of(uploads, bucket):
    """The rows of exactly the objects and generations that the record lists."""
    rows = []
    for upload in uploads:
        content = bucket.read(f"gs://{upload['bucket']}/{upload['name']}", upload["generation"])
        rows += csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    return rows


def table(rows, features):
    """Numbers [rows, features]; a missing one is 0."""
    return np.array([[float(row[name] or 0) for name in features] for row in rows], dtype=np.float32)


def graph(rows, truth, labels):
    """The model as ONNX: softmax of minus the squared distance to each label's centroid, in units of the spread."""
    scale = 1.0 / (rows.var(axis=0).sum() or 1.0)
    centroids = np.array(
        [rows[truth == label].mean(axis=0) if (truth == label).any() else rows.mean(axis=0) for label in labels]
    )
    weights = (2 * scale * rows.shape[1] * centroids.T).astype(np.float32)
    offsets = (-scale * rows.shape[1] * (centroids**2).sum(axis=1)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["numbers", "weights"], ["near"]),
        helper.make_node("Add", ["near", "offsets"], ["nearness"]),
        helper.make_node("Softmax", ["nearness"], ["probabilities"], axis=1),
    ]
    constants = [
        helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
        helper.make_tensor("offsets", TensorProto.FLOAT, offsets.shape, offsets),
    ]
    taken = helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [None, rows.shape[1]])
    given = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(labels)])
    made = helper.make_graph(nodes, "centroids", [taken], [given], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def probabilities(model, rows):
    return onnxruntime.InferenceSession(model).run(["probabilities"], {"numbers": rows})[0]


def answers(model, rows, labels):
    return labels[probabilities(model, rows).argmax(axis=1)]


def champion(kept, rows, bucket):
    """The production model's own answers to the same rows; never a number that was stored."""
    if kept is None:
        return None
    labels = np.array(json.loads(bucket.read(f"{kept['artefacts'].rstrip('/')}/signature.json"))["labels"])
    return answers(bucket.read(f"{kept['artefacts'].rstrip('/')}/model.onnx"), rows, labels)


def accuracy(truth, challenger, rival):
    """The paired difference of accuracies with a normal 95 % interval."""
    differences = (challenger == truth).astype(float) - (rival == truth)
    estimate, half = float(differences.mean()), Z * float(differences.std(ddof=1)) / np.sqrt(len(truth))
    return {
        "metric": "accuracy",
        "higher_is_better": True,
        "challenger": float((challenger == truth).mean()),
        "rival": float((rival == truth).mean()),
        "difference": {"estimate": estimate, "low": estimate - half, "high": estimate + half},
    }


def macro_f1(truth, given):
    scores = [
        2 * ((truth == label) & (given == label)).sum() / ((truth == label).sum() + (given == label).sum())
        for label in np.union1d(truth, given)
    ]
    return float(np.mean(scores))


def golden(model, rows, features, labels):
    """Rows with the answers that the smoke test must get again, and one that must be refused."""
    named = [dict(zip(features, row.tolist(), strict=True)) for row in rows]
    given = probabilities(model, rows)
    bad = {name: value for name, value in named[0].items() if name != features[0]}
    return {
        "rows": named, "probabilities": given.tolist(), "labels": labels[given.argmax(axis=1)].tolist(),
        "bad_rows": [[bad, f"{features[0]}: missing"]],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
