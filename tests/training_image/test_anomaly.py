"""The isolation forest is exported as one tree ensemble that scores every row as scikit-learn does."""

import numpy as np
import onnx
import pytest
from sklearn.ensemble import IsolationForest

from shared.settings import Settings
from training_image import anomaly
from training_image.anomaly import OUTPUT, AnomalyModel, train_anomaly
from training_image.errors import ExportDiffers
from training_image.export import same_values
from training_image.onnx_model import batched, session
from training_image.preprocessing import Shape
from training_image.rows import Table, Upload, read_table
from training_image.signature import NamedFeature, Signature

SETTINGS = Settings.model_validate({"data": {"target": "y"}})


def table(rows: int = 300) -> Table:
    random = np.random.default_rng(1)
    lines = ["size,weight,colour,y"]
    for number in range(rows):
        size = "" if number % 17 == 0 else f"{random.normal():.4f}"
        lines.append(f"{size},{random.normal() * 1e3:.2f},{random.choice(['red', 'blue', ''])},{number % 2}")
    return read_table([], [Upload("rows.csv", "\n".join(lines).encode())], "y")


def signature(of: Table) -> Signature:
    features = tuple(NamedFeature(name=one.name, type=one.kind) for one in of.features)
    return Signature(model="demo", run="demo-000001", target="y", features=features, labels=("0", "1"))


@pytest.fixture(scope="module")
def rows() -> Table:
    return table()


@pytest.fixture(scope="module")
def forest(rows: Table) -> AnomalyModel:
    return train_anomaly(rows, Shape(2, 1, SETTINGS.preprocessing), signature(rows), seed=0, anomalous_share=0.05)


def test_every_judged_row_has_scikit_learns_score(rows: Table, forest: AnomalyModel) -> None:
    assert forest.proof.rows == len(rows.target)
    assert forest.proof.largest_difference < 1e-6


def test_all_trees_are_one_node_and_the_output_is_one_score_per_row(rows: Table, forest: AnomalyModel) -> None:
    model = onnx.load_from_string(forest.content)
    assert [node.op_type for node in model.graph.node].count("TreeEnsembleRegressor") == 1
    (output,) = session(forest.content).get_outputs()
    assert (output.name, output.type) == ("anomaly_scores", "tensor(float)")
    assert forest.scores.shape == (len(rows.target),)
    assert ((forest.scores > 0) & (forest.scores < 1)).all()


def test_a_row_far_from_all_others_scores_above_the_threshold(forest: AnomalyModel) -> None:
    near_and_far = np.array([[0.0, 0.0], [80.0, 1e6]], dtype=np.float32)
    scores = batched(session(forest.content), OUTPUT, near_and_far, np.array([["red"], ["blue"]], dtype=object))
    assert scores[0] < forest.threshold < scores[1]


def test_the_share_of_anomalous_training_rows_is_the_one_asked_for(forest: AnomalyModel) -> None:
    assert (forest.scores > forest.threshold).mean() == pytest.approx(0.05, abs=0.005)


def test_a_text_that_no_row_had_gets_a_score(forest: AnomalyModel) -> None:
    given = np.array([[np.nan, np.nan]], dtype=np.float32)
    scores = batched(session(forest.content), OUTPUT, given, np.array([["purple"]], dtype=object))
    assert np.isfinite(scores).all()


def test_a_value_between_two_of_32_bits_is_on_the_same_side_of_its_threshold() -> None:
    thresholds = np.array([0.1, 1 / 3, -0.1, 16777217.0])
    rounded = anomaly._rounded_down(thresholds)
    assert (rounded <= thresholds).all()
    assert (np.nextafter(rounded.astype(np.float32), np.float32(np.inf)).astype(np.float64) > thresholds).all()


@pytest.mark.parametrize("rows_per_tree", [1, 2, 3, 7, 256])
def test_the_depth_still_needed_is_scikit_learns(rows_per_tree: int) -> None:
    from sklearn.ensemble._iforest import _average_path_length

    assert anomaly._path(rows_per_tree) == pytest.approx(float(_average_path_length([rows_per_tree])[0]))


def test_scores_that_are_not_scikit_learns_end_the_attempt() -> None:
    expected = -IsolationForest(random_state=0).fit(np.eye(8)).score_samples(np.eye(8)).reshape(-1, 1)
    assert same_values("anomaly model", expected, expected.astype(np.float32)).rows == 8
    with pytest.raises(ExportDiffers, match="exported anomaly model answers 8 of 8 rows differently"):
        same_values("anomaly model", expected, expected.astype(np.float32) * 1.01)
