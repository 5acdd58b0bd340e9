"""The models of the comparison as Serin serves them: ONNX, signature, baseline and key in a folder each."""

import json
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

from bench.peers import models
from shared.distributions import ANOMALY_SCORE, LABEL, PROBABILITY, Spread, baseline_json, on_edges

_BINS = 10
_EULER = 0.5772156649015329


def written(folder: Path) -> None:
    """Writes `<folder>/<model>/` as training leaves it; the isolation forest stands beside a linear model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text(secrets.token_hex(32))
    for name in models.MODELS:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        graph = _classifier(models.fitted("forest" if name == "forest" else "linear"))
        (place / "model.onnx").write_bytes(graph)
        (place / "signature.json").write_text(json.dumps(_signature()))
        (place / "baseline.json").write_bytes(_baseline())
        if name == "isolation":
            (place / "anomaly.onnx").write_bytes(_isolation(models.fitted(name)))


def _classifier(fitted: Any) -> bytes:
    classifier = fitted[-1] if hasattr(fitted, "steps") else fitted
    converted = convert_sklearn(
        fitted,
        initial_types=[("numbers", FloatTensorType([None, models.FEATURES]))],
        options={id(classifier): {"zipmap": False}},
    )
    graph: bytes = select_model_inputs_outputs(converted, ["probabilities"]).SerializeToString()
    return graph


def _signature() -> dict[str, Any]:
    features = [{"name": name, "type": "number"} for name in models.NAMES]
    return {
        "format": 1,
        "model": "bench",
        "run": "bench-000001",
        "target": "y",
        "features": features,
        "labels": ["0", "1"],
    }


def _baseline() -> bytes:
    features, _ = models.rows()
    trained = features[: models.TRAINING_ROWS]
    spreads = {}
    for place, name in enumerate(models.NAMES):
        edges = tuple(np.quantile(trained[:, place], np.linspace(0, 1, _BINS + 1)).tolist())
        spreads[name] = Spread(edges, on_edges(trained[:, place], edges))
    tenths = tuple(np.linspace(0, 1, _BINS + 1).tolist())
    told = {
        LABEL: Spread(("0", "1"), (0, 0, 0, 0)),
        PROBABILITY: Spread(tenths, (0,) * (_BINS + 3)),
        ANOMALY_SCORE: Spread(tuple(-edge for edge in reversed(tenths)), (0,) * (_BINS + 3)),
    }
    return baseline_json(spreads, told)


def _isolation(forest: Any) -> bytes:
    """score_samples of an isolation forest: −2^(−mean path length / c(n)), Liu, Ting and Zhou 2008, equation 2."""
    trees: Any = {name: [] for name in _NODES + _LEAVES}
    for number, (tree, columns) in enumerate(zip(forest.estimators_, forest.estimators_features_, strict=True)):
        _add(trees, number, tree.tree_, columns)
    ensemble = helper.make_node(
        "TreeEnsembleRegressor", ["numbers"], ["depths"], domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM",
        post_transform="NONE", **trees,
    )  # fmt: skip
    factor = -np.log(2) / (len(forest.estimators_) * _average_path(np.array([forest._max_samples]))[0])
    constants = [
        helper.make_tensor("factor", onnx.TensorProto.FLOAT, [1], [factor]),
        helper.make_tensor("flat", onnx.TensorProto.INT64, [1], [-1]),
    ]
    nodes = [
        ensemble,
        helper.make_node("Mul", ["depths", "factor"], ["exponents"]),
        helper.make_node("Exp", ["exponents"], ["powers"]),
        helper.make_node("Neg", ["powers"], ["negated"]),
        helper.make_node("Reshape", ["negated", "flat"], ["anomaly_scores"]),
    ]
    numbers = helper.make_tensor_value_info("numbers", onnx.TensorProto.FLOAT, [None, models.FEATURES])
    scores = helper.make_tensor_value_info("anomaly_scores", onnx.TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "isolation", [numbers], [scores], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return content


_NODES = [
    "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes", "nodes_truenodeids",
    "nodes_falsenodeids",
]  # fmt: skip
_LEAVES = ["target_treeids", "target_nodeids", "target_ids", "target_weights"]


def _add(trees: Any, number: int, tree: Any, columns: Any) -> None:
    nodes = tree.node_count
    leaf = tree.children_left < 0
    depths = np.zeros(nodes)
    for node in np.flatnonzero(~leaf):  # a parent comes before its children
        depths[[tree.children_left[node], tree.children_right[node]]] = depths[node] + 1
    leaves = np.flatnonzero(leaf)
    weights = depths[leaves] + _average_path(tree.n_node_samples[leaves])
    trees["nodes_treeids"] += [number] * nodes
    trees["nodes_nodeids"] += range(nodes)
    trees["nodes_featureids"] += np.where(leaf, 0, np.asarray(columns)[np.maximum(tree.feature, 0)]).tolist()
    trees["nodes_values"] += np.where(leaf, 0, _rounded_down(tree.threshold)).tolist()
    trees["nodes_modes"] += np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
    trees["nodes_truenodeids"] += np.where(leaf, 0, tree.children_left).tolist()
    trees["nodes_falsenodeids"] += np.where(leaf, 0, tree.children_right).tolist()
    trees["target_treeids"] += [number] * len(leaves)
    trees["target_nodeids"] += leaves.tolist()
    trees["target_ids"] += [0] * len(leaves)
    trees["target_weights"] += weights.tolist()


def _rounded_down(thresholds: Any) -> Any:
    """The largest 32-bit numbers not above: a 32-bit cell is on the same side of them."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _average_path(rows: Any) -> Any:
    """c(n) of equation 1: the mean length of an unsuccessful search in a binary tree of n rows."""
    more = np.maximum(rows, 3) - 1.0
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, 2 * (np.log(more) + _EULER) - 2 * more / (more + 1)))
