"""The anomaly model beside the supervised one: an isolation forest, served as one tree ensemble.

Every leaf carries its depth plus the depth that its rows would still have needed; the ensemble adds them up, and the
score is 2^(−sum / (trees · c(rows per tree))), in (0, 1), higher for a row that is isolated sooner. One node with all
trees answers a row some two hundred times faster than one node per tree. Source: F. T. Liu, K. M. Ting, Z.-H. Zhou,
Isolation Forest, ICDM 2008, equations 1 and 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_image.export import Check, convert, rename_output, same_values
from training_image.onnx_model import batched, session
from training_image.preprocessing import Shape, matrix, preprocessing
from training_image.rows import Floats, Table
from training_image.signature import Signature

TREES = 100
OUTPUT = "anomaly_scores"
_PREPARED = "prepared"
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class AnomalyModel:
    """The exported forest, the score above which a row counts as anomalous, and all rows' scores [rows]."""

    content: bytes
    threshold: float
    scores: Floats
    proof: Check


def train_anomaly(table: Table, shape: Shape, signature: Signature, seed: int, anomalous_share: float) -> AnomalyModel:
    """A forest fitted on all rows without their target; raises ExportDiffers when the export scores otherwise.

    The proof compares every judged row's score with scikit-learn's.
    """
    from sklearn.ensemble import IsolationForest

    rows = matrix(table.numbers, table.texts)
    prepare = preprocessing(shape, scaled=False).fit(rows)
    prepared = prepare.transform(rows).astype(np.float32)
    forest = IsolationForest(n_estimators=TREES, random_state=seed, n_jobs=1).fit(prepared)
    content = _exported(prepare, forest, signature)
    scores = batched(session(content), OUTPUT, table.numbers, table.texts)
    expected = -forest.score_samples(prepared[table.judged])
    proof = same_values("anomaly model", expected.reshape(-1, 1), scores[table.judged].reshape(-1, 1))
    return AnomalyModel(content, float(np.quantile(scores, 1 - anomalous_share)), scores, proof)


def _exported(prepare: Any, forest: Any, signature: Signature) -> bytes:
    from onnx import TensorProto, helper

    model = convert(prepare, signature)
    graph = model.graph
    rename_output(model, graph.output[0].name, _PREPARED)
    constants = (
        helper.make_tensor("minus_per_depth", TensorProto.FLOAT, [1], [-1.0 / (TREES * _path(forest.max_samples_))]),
        helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0]),
        helper.make_tensor("one_axis", TensorProto.INT64, [1], [-1]),
    )
    graph.initializer.extend(constants)
    trees = helper.make_node(
        "TreeEnsembleRegressor", [_PREPARED], ["depths"], domain="ai.onnx.ml", **_ensemble(forest)
    )  # fmt: skip
    graph.node.extend(
        [
            trees,
            helper.make_node("Mul", ["depths", "minus_per_depth"], ["exponents"]),
            helper.make_node("Pow", ["two", "exponents"], ["column"]),
            helper.make_node("Reshape", ["column", "one_axis"], [OUTPUT]),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None]))
    if all(opset.domain != "ai.onnx.ml" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    content: bytes = model.SerializeToString()
    return content


def _ensemble(forest: Any) -> dict[str, Any]:
    """All trees as the attributes of one node."""
    parts = [_tree(number, estimator.tree_) for number, estimator in enumerate(forest.estimators_)]
    joined = {name: np.concatenate([part[name] for part in parts]).tolist() for name in parts[0]}
    return {**joined, "n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE"}


def _tree(number: int, tree: Any) -> dict[str, NDArray[Any]]:
    left, right = tree.children_left, tree.children_right
    leaves = np.flatnonzero(left < 0)
    inner = left >= 0
    weights = _depths(left, right)[leaves] + np.array([_path(int(rows)) for rows in tree.n_node_samples[leaves]])
    return {
        "nodes_treeids": np.full(tree.node_count, number),
        "nodes_nodeids": np.arange(tree.node_count),
        "nodes_featureids": np.where(inner, tree.feature, 0),
        "nodes_values": np.where(inner, _rounded_down(tree.threshold), 0.0),
        "nodes_modes": np.where(inner, "BRANCH_LEQ", "LEAF"),
        "nodes_truenodeids": np.where(inner, left, 0),
        "nodes_falsenodeids": np.where(inner, right, 0),
        "target_treeids": np.full(len(leaves), number),
        "target_nodeids": leaves,
        "target_ids": np.zeros(len(leaves), dtype=np.int64),
        "target_weights": weights,
    }


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greatest numbers of 32 bits that are not above: whoever is at most the one is at most the other."""
    near = thresholds.astype(np.float32)
    down = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > thresholds, down, near).astype(np.float64)


def _depths(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    depths = np.zeros(len(left), dtype=np.int64)
    for node in range(len(left)):  # a parent's number is smaller than its children's
        if left[node] >= 0:
            depths[left[node]] = depths[right[node]] = depths[node] + 1
    return depths


def _path(rows: int) -> float:
    """c(n): the mean depth at which one of n rows is alone in a random tree."""
    if rows <= 1:
        return 0.0
    if rows == 2:
        return 1.0
    return 2.0 * (math.log(rows - 1.0) + _EULER) - 2.0 * (rows - 1.0) / rows
