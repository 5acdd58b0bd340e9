"""A small file is scored in the function: as the serving image answers, by the recorded version, and once."""

import gzip
from typing import Any

import pytest
from score_here import MODEL_BYTES, answers_of, fits

from shared.errors import Transient
from shared.foreign import DATA_UPLOADED
from tests.functions.score_batch.test_batch_scoring import lines, notices, only_scoring, scores
from tests.functions.standing_rollout import BASE, CANDIDATE, order, put, under_way
from tests.serving_image.toys import Container, artefacts, instances, regression
from tests.world.cloud import MemoryCloud
from tests.world.running import drop

PLACE = CANDIDATE.artefacts
ROWS = b"size,colour\n0.1,red\nbig,red\n,\n1.2,green\n"
SETTINGS = '[data]\ntarget = "kind"\n'


def keep(cloud: MemoryCloud, place: str, **others: bytes | None) -> None:
    """Puts a trained model's files where they are looked for."""
    kept = artefacts(**others)
    files = {"model.onnx": kept.graph, "signature.json": kept.signature, "anomaly.onnx": kept.anomaly}
    for name, content in files.items():
        if content is not None:
            cloud.artefacts.put(f"{place.removeprefix('gs://artefacts/')}{name}", content)


def world(percent: int = 100, settings: str = SETTINGS, **others: bytes | None) -> MemoryCloud:
    """Two versions on the endpoint, the candidate with this share."""
    cloud = under_way(percent)
    cloud.data.put("settings/digits.toml", settings.encode())
    for arm in (BASE, CANDIDATE):
        keep(cloud, arm.artefacts, **others)
    cloud.bus.take()
    return cloud


def break_at(cloud: MemoryCloud, nth: int, when: str) -> None:
    """Lets the so-manieth object that is created from now on fail, before it stands or after."""
    left = [nth]

    def count() -> None:
        left[0] -= 1
        if left[0]:
            cloud.door.meanwhile["storage.create"] = count
        else:
            getattr(cloud.door, when)["storage.create"] = Transient("storage.create", "a test")

    cloud.door.meanwhile["storage.create"] = count


@pytest.mark.parametrize("others", [{}, {"anomaly": None}, regression()], ids=["labels", "no anomaly model", "values"])
def test_every_row_is_answered_as_the_serving_image_answers_it(others: dict[str, bytes | None]) -> None:
    cloud, asked = MemoryCloud(), [*instances(20), {"size": 0.0, "colour": None}, {"size": 3.0, "colour": "unseen"}]
    keep(cloud, PLACE, **others)
    numbered = [{**instance, "n": str(number)} for number, instance in enumerate(asked)]
    answered = list(answers_of(numbered, "n", cloud.artefacts, PLACE))
    assert [answer["key"] for answer in answered] == [str(number) for number in range(22)]
    served: list[Any] = Container(artefacts(**others)).predict(asked)
    told = [{name: value for name, value in row.items() if name not in ("receipt", "error")} for row in served]
    assert [answer["prediction"] for answer in answered] == told


def test_a_small_file_has_its_results_at_once_and_no_job() -> None:
    cloud = world()
    drop(cloud, "score/digits/march.csv", ROWS)
    assert only_scoring(cloud) == [("score_batch", DATA_UPLOADED, 200)]
    (end,) = scores(cloud, "end")
    assert (end["outcome"], end["rows"], end["scored"], end["bad"], end["job"]) == ("scored", 4, 3, 1, None)
    assert [line["row"] for line in lines(cloud, "results")] == [1, 3, 4]
    assert {*lines(cloud, "results")[0]} == {"row", "label", "probability", "anomaly_score", "anomalous"}
    assert [(line["row"], line["reasons"]) for line in lines(cloud, "bad_rows")] == [(2, ["not-a-number size"])]
    assert cloud.vertex.batches == []
    (notice,) = notices(cloud)
    assert notice.title == "digits: 3 of 4 rows of 'march.csv' are scored"
    assert (notice.link or "").startswith("https://console.cloud.google.com/storage/browser/artefacts/scored/digits/")


def test_during_a_canary_the_version_in_production_scores_every_row() -> None:
    cloud = world(percent=5)
    order(cloud, 2, 25)
    put(cloud, "shifted/000002", {"percent": 25, "split": {"1": 75, "2": 25}})
    drop(cloud, "score/digits/march.csv", ROWS)
    only_scoring(cloud)
    (end,) = scores(cloud, "end")
    assert (end["scored"], end["run"], end["version"]) == (3, BASE.run, BASE.version)


@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delivery_that_breaks_at_any_change_is_made_good_by_the_next(nth: int, when: str) -> None:
    cloud, undisturbed = world(), world()
    drop(undisturbed, "score/digits/march.csv", ROWS)
    only_scoring(undisturbed)
    drop(cloud, "score/digits/march.csv", ROWS)
    ((_, message),) = cloud.bus.messages
    break_at(cloud, nth, when)
    assert only_scoring(cloud) == [("score_batch", DATA_UPLOADED, 500)]
    cloud.bus.messages.append((DATA_UPLOADED, message))
    only_scoring(cloud)
    assert lines(cloud, "results") == lines(undisturbed, "results")
    assert (len(scores(cloud, "end")), len(notices(cloud))) == (1, 1)


def test_more_rows_than_the_settings_allow_are_a_job() -> None:
    cloud = world(settings=SETTINGS + "[serving]\nrows_scored_here = 2\n")
    drop(cloud, "score/digits/march.csv.gz", gzip.compress(ROWS, mtime=0))
    only_scoring(cloud)
    assert len(cloud.vertex.batches) == 1
    assert scores(cloud, "end") == []


def test_a_model_that_is_too_large_for_a_function_is_not_loaded() -> None:
    cloud = MemoryCloud()
    cloud.artefacts.put("digits/2/model.onnx", bytes(MODEL_BYTES - 1))
    assert fits(cloud.artefacts, PLACE)
    cloud.artefacts.put("digits/2/anomaly.onnx", bytes(2))
    assert not fits(cloud.artefacts, PLACE)


def test_a_model_that_cannot_be_loaded_is_an_end_that_people_hear_of() -> None:
    cloud = world(graph=b"not a model")
    drop(cloud, "score/digits/march.csv", ROWS)
    only_scoring(cloud)
    (end,) = scores(cloud, "end")
    assert end["outcome"] == "not scored"
    assert end["reasons"][0].startswith("it does not answer: ")
    assert [notice.severity for notice in notices(cloud)] == ["error"]
