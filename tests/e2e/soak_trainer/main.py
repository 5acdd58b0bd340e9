"""A trainer that takes no time: most of its challengers are worse than what is there and are rejected at once.

Of every ten runs (fates.py) two leave a real model, made by the example's trainer, with an evaluation that lets it
through; one is worth a question, one fails.
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

from fates import fate_of  # beside it: a trainer is run in its own folder

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_trainer" / "main.py"
SCORES: dict[str, tuple[float, float]] = {
    "deployed": (0.97, 0.17), "left": (0.97, 0.17), "asked": (0.805, 0.005), "rejected": (0.55, -0.25)
}  # fmt: skip
"""By the run's fate: the challenger's score, and by how much it is better than its rival."""


def main() -> None:
    """One attempt."""
    fate = fate_of(int(os.environ["SERIN_RUN"].rsplit("-", 1)[-1]))
    if fate == "failed":
        sys.exit("this run is to fail")
    if fate in ("deployed", "left"):
        _make_model()
    evaluation = json.dumps(_evaluation(*SCORES[fate])).encode()
    _create(f"{os.environ['ARTIFACTS_DIR']}evaluation.json", evaluation)


def _evaluation(score: float, better: float) -> dict[str, Any]:
    compared, baseline = _compared(score, better), _compared(score, score - 0.5)
    return {
        "rows_trained": 400,
        "rows_judged": 400,
        "chosen": "nothing",
        "challenger": {
            "score": score, "train_score": score, "fold_scores": [score] * 5, "fold_deviation": 0.001,
        },
        "comparisons": [compared, {"metric": "macro_f1", "higher_is_better": True, "challenger": score}],
        "versus_baseline": baseline,
    }  # fmt: skip


def _compared(score: float, better: float) -> dict[str, Any]:
    difference = {"estimate": better, "low": better - 0.009, "high": better + 0.009}
    return {
        "metric": "accuracy", "higher_is_better": True, "challenger": score, "rival": score - better,
        "difference": difference,
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
