"""The report is one page that needs nothing else, shows what it should, and says the same as its JSON."""

import json
import re
import xml.etree.ElementTree as Xml
from typing import Any

import numpy as np
import pytest
import yaml

from shared.scorecard import grade
from shared.settings import Settings
from training_image.lineage import Code, Lineage, Source
from training_image.packing import pack
from training_image.report.pictures import gains
from training_image.rows import Upload
from training_image.training import Plan, Trained, train

HOSTILE = "<script>alert('x')</script>"


def upload(regression: bool) -> Upload:
    random = np.random.default_rng(0)
    lines = [f'"{HOSTILE}",size,sex,y']
    for number in range(160):
        size, noise = random.normal(), random.normal()
        label = f"{3 * size + noise:.3f}" if regression else ("yes" if size + noise / 2 > 0 else HOSTILE)
        lines.append(f'{noise:.3f},{size:.3f},{"fm"[number % 2]},"{label}"')
    return Upload("rows.csv", "\n".join(lines).encode())


def settings(candidate: str) -> Settings:
    return Settings.model_validate(
        {
            "data": {"target": "y"},
            "training": {"candidates": [candidate]},
            "slices": {"columns": ["size"], "groups": ["sex"]},
        }
    )


def lineage(trained: Trained) -> Lineage:
    source = Source(object=f"gs://data/{HOSTILE}.csv", generation=7, content="a" * 64, rows=160)
    return Lineage(
        run=trained.plan.run, attempt=1, window=(source,), earlier=(), rows=160, settings_generation=3,
        settings=trained.plan.settings.model_dump(mode="json"), schema_of_columns={}, champion=None,
        code=Code(image="i", source_sha256="b" * 64), library_versions={"numpy": "2"}, seeds={"fit": 0},
    )  # fmt: skip


def packed(candidate: str, *, regression: bool) -> tuple[Trained, dict[str, bytes]]:
    trained = train(Plan("demo", "demo-000001", settings(candidate)), [], [upload(regression)])
    return trained, pack(trained, lineage(trained))


@pytest.fixture(scope="module")
def classified() -> tuple[Trained, dict[str, bytes]]:
    return packed("LogisticRegression", regression=False)


@pytest.fixture(scope="module")
def regressed() -> tuple[Trained, dict[str, bytes]]:
    return packed("Ridge", regression=True)


@pytest.fixture(params=["classified", "regressed"])
def either(request: pytest.FixtureRequest) -> tuple[Trained, dict[str, bytes]]:
    found: tuple[Trained, dict[str, bytes]] = request.getfixturevalue(request.param)
    return found


def test_the_page_asks_nobody_for_anything_and_runs_nothing(either: tuple[Trained, dict[str, bytes]]) -> None:
    page = either[1]["report.html"].decode()
    assert not re.findall(r"https?://|<script|<link|<img|<iframe|@import|url\(|src=|\bon\w+=", page)


def test_every_picture_is_well_formed_and_has_a_title(either: tuple[Trained, dict[str, bytes]]) -> None:
    pictures = re.findall(r"<svg.*?</svg>", either[1]["report.html"].decode(), re.DOTALL)
    assert len(pictures) >= 5
    assert all(Xml.fromstring(one).findtext("title") for one in pictures)
    assert not any("nan" in one or "inf" in one for one in pictures)


@pytest.mark.parametrize(
    ("which", "shown"),
    [
        (
            "classified",
            ["Scorecard", "ROC", "Calibration", "Precision and recall", "Importance", "Slices", "Groups by sex"],
        ),
        ("regressed", ["Scorecard", "True values and answers", "Errors", "Importance", "Slices", "Groups by sex"]),
    ],
)
def test_the_page_shows_everything_that_the_task_has(
    which: str, shown: list[str], request: pytest.FixtureRequest
) -> None:
    page = request.getfixturevalue(which)[1]["report.html"].decode()
    assert [name for name in shown if name not in page] == []


def test_the_card_in_the_report_is_the_one_that_the_decision_comes_to(either: tuple[Trained, dict[str, bytes]]) -> None:
    trained, files = either
    card = grade(trained.evaluation, trained.plan.settings.decision)
    report: Any = json.loads(files["report.json"])
    assert report["card"] == card.model_dump(mode="json")
    assert report["evaluation"] == json.loads(files["evaluation.json"])
    assert f"{card.verdict.value} · {card.total} points" in files["report.html"].decode()


def test_the_confusion_counts_every_judged_row_once(classified: tuple[Trained, dict[str, bytes]]) -> None:
    trained, files = classified
    counts = np.array(json.loads(files["report.json"])["confusion"]["counts"])
    assert counts.sum() == trained.evaluation.rows_judged
    assert np.trace(counts) / counts.sum() == pytest.approx(trained.evaluation.challenger.score)


def test_the_area_below_the_drawn_roc_curve_is_the_measured_one(classified: tuple[Trained, dict[str, bytes]]) -> None:
    trained, files = classified
    (curve,) = json.loads(files["report.json"])["curves"]
    area = np.trapezoid(curve["recall"], curve["false_positive"])
    assert area == pytest.approx(trained.evaluation.comparison("roc_auc").challenger, abs=0.02)


def test_the_feature_that_the_target_follows_from_matters_most(either: tuple[Trained, dict[str, bytes]]) -> None:
    assert json.loads(either[1]["report.json"])["importance"][0]["feature"] == "size"


def test_the_model_card_has_the_front_matter_that_hugging_face_reads(either: tuple[Trained, dict[str, bytes]]) -> None:
    trained, files = either
    _, front, text = files["README.md"].decode().split("---\n", 2)
    read = yaml.safe_load(front)
    assert (read["library_name"], read["pipeline_tag"]) == ("onnx", f"tabular-{trained.evaluation.task}")
    told = {each["type"]: each["value"] for each in read["model-index"][0]["results"][0]["metrics"]}
    primary = trained.evaluation.comparison(trained.evaluation.primary)
    assert told[primary.metric] == pytest.approx(primary.challenger, rel=1e-4)
    assert "## What to be careful with" in text


def test_a_comparison_without_numbers_is_drawn_as_unknown() -> None:
    from shared.evaluation import Difference

    assert "unknown" in gains([("accuracy", Difference())], "nothing")
