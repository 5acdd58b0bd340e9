"""A trainer that takes no time: most of its challengers are worse than what is there and are rejected at once.

Of every ten runs one leaves a real model, made by the example's trainer, with an evaluation that lets it through.
"""

import json
import os
import runpy
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_trainer" / "main.py"
EVERY = int(os.environ.get("SERIN_SOAK_DEPLOY_EVERY", "10"))


def main() -> None:
    """One attempt."""
    window = int(os.environ["SERIN_RUN"].rsplit("-", 1)[-1])
    deploys = window % EVERY == 1
    if deploys:
        _make_model()
    evaluation = json.dumps(_evaluation(0.97 if deploys else 0.55)).encode()
    _create(f"{os.environ['ARTIFACTS_DIR']}evaluation.json", evaluation)


def _evaluation(score: float) -> dict[str, Any]:
    difference = {"estimate": score - 0.8, "low": score - 0.82, "high": score - 0.78}
    compared = {
        "metric": "accuracy", "higher_is_better": True, "challenger": score, "rival": 0.8, "difference": difference,
    }  # fmt: skip
    return {
        "rows_trained": 400,
        "rows_judged": 400,
        "chosen": "nothing",
        "challenger": {
            "score": score, "train_score": score, "fold_scores": [score] * 5, "fold_deviation": 0.001,
        },
        "comparisons": [compared, {"metric": "macro_f1", "higher_is_better": True, "challenger": score}],
        "versus_baseline": compared,
    }  # fmt: skip


def _make_model() -> None:
    """Everything but the evaluation, as the example makes it."""
    example: Any = runpy.run_path(str(EXAMPLE))
    bucket = example["Bucket"]()
    inputs = json.loads(bucket.read(os.environ["SERIN_INPUTS"]))["data"]
    features, target = ["a", "b"], inputs["settings"]["data"]["target"]
    rows = example["rows_of"](inputs["uploads"], bucket)
    numbers, truth = example["table"](rows, features), example["np"].array([row[target] for row in rows])
    labels = example["np"].unique(truth)
    model = example["graph"](numbers, truth, labels)
    signature = {
        "model": inputs["run"].rsplit("-", 1)[0], "run": inputs["run"], "task": "classification", "target": target,
        "labels": labels.tolist(), "features": [{"name": name, "type": "number"} for name in features],
    }  # fmt: skip
    golden = example["golden"](model, numbers[:10], features, labels)
    place = os.environ["ARTIFACTS_DIR"]
    for name, content in (("signature", signature), ("golden", golden)):
        _create(f"{place}{name}.json", json.dumps(content).encode())
    _create(f"{place}model.onnx", model)


def _create(address: str, content: bytes) -> None:
    """Creates an object; what stands already was made by an earlier life of this job."""
    bucket, _, name = address.removeprefix("gs://").partition("/")
    query = urllib.parse.urlencode({"uploadType": "media", "name": name, "ifGenerationMatch": 0})
    url = f"{os.environ['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{bucket}/o?{query}"
    try:
        urllib.request.urlopen(urllib.request.Request(url, content, method="POST")).close()
    except urllib.error.HTTPError as error:
        if error.code != 412:
            raise


if __name__ == "__main__":
    sys.exit(main())
