"""A whole attempt from bytes to artefacts, on real and on awkward data."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from shared.settings import Settings
from training_image.errors import ExportDiffers, Untrainable
from training_image.evaluation import Champion
from training_image.export import GOLDEN_ROWS, same_probabilities
from training_image.lineage import Code, Lineage
from training_image.onnx_model import OnnxModel
from training_image.packing import pack
from training_image.rows import Upload
from training_image.signature import Signature
from training_image.training import Plan, Trained, train

CANDIDATES = ["LogisticRegression", "RandomForest"]
PLAN = Plan(
    "demo", "demo-000001", Settings.model_validate({"data": {"target": "y"}, "training": {"candidates": CANDIDATES}})
)
NO_TEXTS = np.empty((0, 0), dtype=object)


def upload(rows: list[dict[str, Any]]) -> Upload:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return Upload("rows.csv", text.getvalue().encode())


def bundled(loaded: Any, seed: int = 0) -> list[dict[str, Any]]:
    order = np.random.default_rng(seed).permutation(len(loaded.target))
    return [
        {**{f"f{i}": value for i, value in enumerate(loaded.data[row].tolist())}, "y": f"class {loaded.target[row]}"}
        for row in order
    ]


def mixed(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Numbers and texts with gaps, a constant column and an empty one; the label follows from size and colour."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        size, colour = float(random.normal(1000, 50)), str(random.choice(["red", "blue", "green"]))
        label = "yes" if size > 1000 and colour != "green" else "no"
        rows.append(
            {
                "size": "" if number % 11 == 0 else size,
                "colour": "" if number % 13 == 0 else colour,
                "constant": 7,
                "empty": "",
                "y": label,
            }
        )
    return rows


@pytest.fixture(scope="module")
def iris() -> Trained:
    rows = bundled(load_iris())
    return train(PLAN, [upload(rows[:60])], [upload(rows[60:])])


@pytest.fixture(scope="module")
def mixture() -> Trained:
    return train(PLAN, [], [upload(mixed(240))])


def test_a_first_model_is_compared_with_the_majority_class(iris: Trained) -> None:
    found = iris.evaluation
    assert found.champion is None
    assert found.comparison("accuracy").difference == found.versus_baseline.difference  # type: ignore[union-attr]
    assert (found.comparison("accuracy").difference.low or 0) > 0.3
    assert (found.challenger.score or 0) > 0.9


def test_all_rows_are_trained_on_and_only_the_new_ones_judged(iris: Trained) -> None:
    assert (iris.evaluation.rows_trained, iris.evaluation.rows_judged) == (150, 90)
    assert iris.evaluation.onnx_rows_checked == 90


def test_the_candidates_and_the_chosen_one_are_told(iris: Trained) -> None:
    found = iris.evaluation
    means = {one.name: one.score for one in found.candidates}
    assert set(means) == {"LogisticRegression", "RandomForest"}
    assert means[found.chosen] == max(value for value in means.values() if value is not None)
    assert all(len(one.fold_scores) == found.folds == 5 for one in found.candidates)


def test_the_same_bytes_and_seed_give_the_same_artefacts(mixture: Trained) -> None:
    assert files(train(PLAN, [], [upload(mixed(240))])) == files(mixture)


def test_another_process_makes_the_same_model(iris: Trained) -> None:
    program = (
        "import sys, hashlib; from training_image.rows import Upload\n"
        "from shared.settings import parse; from training_image.training import Plan, train\n"
        "text, first, second = sys.stdin.buffer.read().split(b'--')\n"
        "plan = Plan('demo', 'demo-000001', parse(text))\n"
        "trained = train(plan, [Upload('a', first)], [Upload('b', second)])\n"
        "print(hashlib.sha256(trained.model.content).hexdigest(), trained.evaluation.model_dump_json())"
    )
    rows = bundled(load_iris())
    settings = f'[data]\ntarget = "y"\n[training]\ncandidates = {json.dumps(CANDIDATES)}\n'.encode()
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=b"--".join([settings, upload(rows[:60]).content, upload(rows[60:]).content]),
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "7"},
    )
    model, evaluation = done.stdout.decode().strip().split(" ", 1)
    assert model == hashlib.sha256(iris.model.content).hexdigest()
    assert evaluation == iris.evaluation.model_dump_json()


def test_labels_by_chance_cannot_be_learnt_by_heart() -> None:
    random = np.random.default_rng(0)
    rows = [{"a": value, "y": str(random.integers(2))} for value in random.normal(size=200)]
    found = train(PLAN, [], [upload(rows)]).evaluation
    assert found.challenger.score is not None and found.challenger.score < 0.65
    assert found.versus_baseline is not None
    assert found.versus_baseline.difference.low is not None and found.versus_baseline.difference.low <= 0


def test_a_challenger_is_compared_with_the_champion_on_the_same_new_rows(iris: Trained) -> None:
    rows = bundled(load_iris(), seed=1)
    champion = Champion(iris.model, "demo-000001", "3")
    found = train(PLAN, [upload(rows[:75])], [upload(rows[75:])], champion).evaluation
    assert found.champion is not None
    assert (found.champion.run, found.champion.version) == ("demo-000001", "3")
    accuracy = found.comparison("accuracy")
    assert accuracy.difference.estimate is not None and accuracy.rival is not None
    assert found.challenger.score == pytest.approx(accuracy.rival + accuracy.difference.estimate)
    assert found.versus_baseline is not None and accuracy.difference != found.versus_baseline.difference


def test_a_champion_whose_features_are_gone_is_a_reason(iris: Trained) -> None:
    rows = [{name: value for name, value in row.items() if name != "f2"} for row in bundled(load_iris())]
    with pytest.raises(Untrainable, match="champion takes a number 'f2'"):
        train(PLAN, [], [upload(rows)], Champion(iris.model, "demo-000001"))


def test_texts_and_numbers_reach_the_exported_model_by_their_inputs(mixture: Trained) -> None:
    signature = mixture.model.signature
    assert signature.names("number") == ("size", "constant", "empty")
    assert signature.names("text") == ("colour",)
    assert (mixture.evaluation.challenger.score or 0) > 0.8
    assert mixture.evaluation.warnings == (
        "column 'constant' has the same number in every row", "column 'empty' is empty in every row",
    )  # fmt: skip


def test_missing_values_and_unseen_texts_get_an_answer(mixture: Trained) -> None:
    numbers = np.array([[np.nan, np.nan, np.nan], [1100, 7, 3]], dtype=np.float32)
    texts = np.array([["purple"], [""]], dtype=object)
    probabilities = mixture.model.answers(numbers, texts)
    assert probabilities.shape == (2, 2)
    assert probabilities.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_a_model_of_texts_alone_has_no_input_of_numbers() -> None:
    rows = [{"colour": colour, "y": str(colour == "red")} for colour in ["red", "blue", "green"] * 30]
    trained = train(PLAN, [], [upload(rows)])
    assert trained.model.signature.names("number") == ()
    answer = trained.model.answers(np.empty((1, 0), dtype=np.float32), np.array([["red"]], dtype=object))
    assert trained.model.signature.labels[int(answer.argmax())] == "True"


def test_the_golden_rows_are_answered_as_the_artefacts_say(mixture: Trained) -> None:
    kept = files(mixture)
    golden, signature = json.loads(kept["golden.json"]), Signature.model_validate_json(kept["signature.json"])
    assert len(golden["rows"]) == GOLDEN_ROWS
    numbers = [[row[name] for name in signature.names("number")] for row in golden["rows"]]
    texts = [[row[name] for name in signature.names("text")] for row in golden["rows"]]
    model = OnnxModel(kept["model.onnx"], signature)
    actual = model.answers(np.array(numbers, dtype=np.float32), np.array(texts, dtype=object))
    assert actual == pytest.approx(np.array(golden["probabilities"]), abs=1e-6)
    assert golden["labels"] == [signature.labels[code] for code in actual.argmax(axis=1)]
    assert [why for _, why in golden["bad_rows"]] == ["size: missing", "size: not a number"]


def test_the_evaluation_on_disk_is_the_one_that_travels(iris: Trained) -> None:
    assert json.loads(files(iris)["evaluation.json"]) == json.loads(iris.evaluation.model_dump_json())


@pytest.mark.parametrize(
    ("expected", "actual", "alike"),
    [
        ([[0.7, 0.3]], [[0.70005, 0.29995]], True),
        ([[0.7, 0.3]], [[0.7002, 0.2998]], False),
        ([[0.50002, 0.49998]], [[0.49998, 0.50002]], True),
        ([[0.7, 0.3]], [[np.nan, 0.3]], False),
        ([[0.7, 0.3], [0.2, 0.8]], [[0.7, 0.3], [0.8, 0.2]], False),
    ],
)
def test_an_export_that_answers_otherwise_is_caught(
    expected: list[list[float]], actual: list[list[float]], alike: bool
) -> None:
    arrays = np.array(expected), np.array(actual, dtype=np.float32)
    if alike:
        assert same_probabilities(*arrays).rows == len(expected)
    else:
        with pytest.raises(ExportDiffers):
            same_probabilities(*arrays)


def test_rows_too_few_to_train_on_have_a_reason() -> None:
    with pytest.raises(Untrainable, match="4 rows are fewer than the 5 folds"):
        train(PLAN, [], [upload([{"a": 1, "y": "x"}, {"a": 2, "y": "z"}] * 2)])


def test_a_champion_is_compared_although_its_features_are_now_made_otherwise() -> None:
    rows = [{**row, "code": number % 7} for number, row in enumerate(bundled(load_iris()))]
    first = train(PLAN, [], [upload(rows)])
    prepared = {"preprocessing": {"categories": ["code"], "ignored": ["f1"]}}
    settings = Settings.model_validate({**PLAN.settings.model_dump(), **prepared})
    second = train(Plan("demo", "demo-000002", settings), [], [upload(rows)], Champion(first.model, "demo-000001"))
    assert second.model.signature.names("text") == ("code",)
    assert "f1" not in second.model.signature.names("number")
    assert (second.evaluation.comparison("accuracy").rival or 0) > 0.9


def test_boosting_is_exported_too() -> None:
    settings = {**PLAN.settings.model_dump(), "training": {"candidates": ["HistGradientBoosting"], "folds": 2}}
    found = train(Plan("demo", "demo-000001", Settings.model_validate(settings)), [], [upload(mixed(120))]).evaluation
    assert (found.chosen, found.onnx_rows_checked) == ("HistGradientBoosting", 120)


def test_an_empty_text_may_be_a_category_of_its_own() -> None:
    rows = [{"colour": colour, "y": str(colour == "")} for colour in ["red", "", "green"] * 30]
    settings = {**PLAN.settings.model_dump(), "preprocessing": {"missing_texts": "own", "missing_numbers": "zero"}}
    found = train(Plan("demo", "demo-000001", Settings.model_validate(settings)), [], [upload(rows)]).evaluation
    assert found.challenger.score == 1.0


def test_the_best_of_three_kinds_is_chosen_by_the_metric_that_the_settings_name() -> None:
    settings = Settings.model_validate({"data": {"target": "y"}, "decision": {"primary": "log_loss"}})
    found = train(Plan("demo", "demo-000001", settings), [], [upload(mixed(60))]).evaluation
    losses = {one.name: one.score or 0 for one in found.candidates}
    assert list(losses) == ["LogisticRegression", "RandomForest", "HistGradientBoosting"]
    assert (found.primary, losses[found.chosen]) == ("log_loss", min(losses.values()))


def files(trained: Trained) -> dict[str, bytes]:
    settings = trained.plan.settings.model_dump(mode="json")
    lineage = Lineage(
        run=trained.plan.run, attempt=1, window=(), earlier=(), rows=0, settings_generation=1, settings=settings,
        schema_of_columns={}, champion=None, code=Code(image="", source_sha256=""), library_versions={}, seeds={},
    )  # fmt: skip
    return pack(trained, lineage)
