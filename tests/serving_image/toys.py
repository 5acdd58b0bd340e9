"""A small trained model with a number and a text, as artefacts, with an anomaly model and a baseline beside it."""

import json
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import helper

from serving_image.account import Interval
from serving_image.artefacts import Artefacts, Key
from serving_image.configuration import Configuration, read_configuration
from serving_image.loading import load
from serving_image.service import Loaded
from shared.distributions import Spread, baseline_json
from shared.settings import Settings
from tests.world.replica import Asked
from training_image.rows import Upload
from training_image.training import Plan, train

KEY = bytes(range(32))
COLOURS = ("red", "blue", "")
DEPLOYED = {
    "AIP_STORAGE_URI": "in memory", "AIP_HEALTH_ROUTE": "/live", "AIP_PREDICT_ROUTE": "/answer",
    "AIP_ENDPOINT_ID": "serin-toys", "AIP_DEPLOYED_MODEL_ID": "3", "SERIN_MODEL": "toys", "SERIN_RUN": "toys-000001",
    "SERIN_RECEIPT_KEY_URI": "in memory/1", "GOOGLE_CLOUD_PROJECT": "in-memory",
}  # fmt: skip
BASELINE = baseline_json(
    {"size": Spread((-0.5, 0.5, 1.5), (5, 40, 40, 5, 0)), "colour": Spread(("blue", "red"), (30, 30, 0, 30))},
    {
        "label": Spread(("k0", "k1"), (45, 45, 0, 0)),
        "probability": Spread((0.5, 0.9), (0, 30, 60, 0)),
        "anomaly_score": Spread((0.0, 1.0), (10, 70, 10, 0)),
    },
)


def rows() -> list[dict[str, Any]]:
    """The rows that it is trained on."""
    chance = np.random.default_rng(0)
    return [
        {"size": round(float(chance.normal(label, 0.4)), 3), "colour": COLOURS[row % 3], "kind": f"k{label}"}
        for row in range(90)
        for label in [row % 2]
    ]


def instances(count: int = 20) -> list[dict[str, Any]]:
    """Rows as a client sends them."""
    return [{"size": row["size"], "colour": row["colour"]} for row in rows()[:count]]


@cache
def trained() -> Any:
    """The result of training."""
    text = "size,colour,kind\n" + "".join(f"{row['size']},{row['colour']},{row['kind']}\n" for row in rows())
    training = {"candidates": ["LogisticRegression", "RandomForest"]}
    settings = Settings.model_validate({"data": {"target": "kind"}, "training": training})
    return train(Plan("toys", "toys-000001", settings), [], [Upload("toys.csv", text.encode())])


def identity(output: str, shape: list[int]) -> bytes:
    """A model whose one output is the size itself; it takes the texts too, as real ones may."""
    numbers = helper.make_tensor_value_info("numbers", onnx.TensorProto.FLOAT, [None, 1])
    texts = helper.make_tensor_value_info("texts", onnx.TensorProto.STRING, [None, 1])
    told = helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [None] * len(shape))
    to = helper.make_tensor("to", onnx.TensorProto.INT64, [len(shape)], shape)
    node = helper.make_node("Reshape", ["numbers", "to"], [output])
    graph = helper.make_graph([node], "identity", [numbers, texts], [told], [to])
    opsets = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


def regression() -> dict[str, bytes]:
    """The artefacts in which a regression differs."""
    signature = {**json.loads(artefacts().signature), "task": "regression", "labels": []}
    baseline = baseline_json({}, {"value": Spread((-1.0, 0.0), (0, 0, 0, 0))})
    return {
        "graph": identity("values", [-1, 1]), "signature": json.dumps(signature).encode(), "baseline": baseline,
    }  # fmt: skip


def artefacts(**others: bytes | None) -> Artefacts:
    """What was fetched for the container."""
    model = trained().model
    signature = {**model.signature.model_dump(mode="json"), "anomaly": {"threshold": 0.5}}
    fetched: dict[str, Any] = {
        "graph": model.content, "signature": json.dumps(signature).encode(),
        "anomaly": identity("anomaly_scores", [-1]), "baseline": BASELINE, "key": Key("1", KEY),
    }  # fmt: skip
    return Artefacts(**{**fetched, **others})


class Container:
    """A loaded container without sockets, and the intervals that have ended."""

    def __init__(
        self,
        fetched: Artefacts | None = None,
        change: Callable[[Loaded], Loaded] = lambda loaded: loaded,
        **variables: str,
    ) -> None:
        self.configuration: Configuration = read_configuration({**DEPLOYED, **variables})
        self.ended: deque[Interval] = deque()
        self.loaded = change(load(self.configuration, fetched or artefacts(), self.ended.append))
        self.asked = Asked(self.configuration, self.loaded)

    def ask(self, method: str, path: str, body: Any = b"") -> tuple[int, Any]:
        """Status and decoded answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, answer = self.asked.ask(method, path, content)
        return status, json.loads(answer)

    def predict(self, asked: list[Any], **parameters: Any) -> Any:
        """The predictions for rows that are all or partly good."""
        status, answer = self.ask("POST", "/answer", {"instances": asked, "parameters": parameters})
        assert status == 200, answer
        return answer["predictions"]

    def interval(self) -> Interval:
        """What was counted until now."""
        self.loaded.account.turn()
        return self.ended.popleft()
