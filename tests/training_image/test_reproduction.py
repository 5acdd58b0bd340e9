"""A run is trained again from its record alone, and whatever is not the same is named."""

import json
from typing import Any

import pytest

from shared.errors import BadInput, NotYet
from shared.ids import ModelName, RunId
from shared.ledger import Outcome, run_key, window_key
from tests.training_image.recorded_run import MORE, ROWS, drop, ledger, order, window_of
from tests.world.cloud import MemoryCloud
from training_image.job import run_job
from training_image.lineage import Code, Lineage, code_of
from training_image.reproduce import reproduce, told

RUN = RunId("demo-000002")
CODE = code_of({})


@pytest.fixture
def decided() -> MemoryCloud:
    """A run of two windows whose evaluation was accepted."""
    cloud = MemoryCloud()
    uploads, earlier = [drop(cloud, "data/demo/b.csv", MORE)], [drop(cloud, "data/demo/a.csv", ROWS)]
    ledger(cloud).record(window_key(ModelName("demo"), 2), Outcome(window_of(uploads, earlier)))
    assert run_job(order(), cloud) == 0
    (told,) = cloud.bus.events()
    completed: Any = told.payload
    data = {"evaluation": completed.evaluation.model_dump(mode="json"), "artefacts": completed.artefacts}
    ledger(cloud).record(run_key(RUN, "decision"), Outcome(data))
    return cloud


def test_a_run_trained_again_has_the_same_numbers_and_the_same_model(decided: MemoryCloud) -> None:
    before = decided.artefacts.keys(), decided.state.keys()
    found = reproduce(RUN, decided, CODE)
    assert (found.differences, found.same_model, found.circumstances) == ((), True, ())
    assert found.numbers > 50
    assert (decided.artefacts.keys(), decided.state.keys()) == before


def test_the_same_generation_is_trained_on_although_the_object_has_a_newer_one(decided: MemoryCloud) -> None:
    drop(decided, "data/demo/b.csv", ROWS)
    assert reproduce(RUN, decided, CODE).same


def test_a_number_that_is_not_what_the_record_says_is_named(decided: MemoryCloud) -> None:
    key = run_key(RUN, "decision")
    record = json.loads(decided.state.read(key) or b"")
    record["data"]["evaluation"]["rows_judged"] = 41
    cloud = MemoryCloud()
    cloud.data, cloud.artefacts = decided.data, decided.artefacts
    for kept in list(decided.state.keys()):
        body = json.dumps(record).encode() if kept == key else decided.state.read(kept) or b""
        cloud.state.put(kept, body)
    found = reproduce(RUN, cloud, CODE)
    assert [(one.place, one.recorded, one.again) for one in found.differences] == [("rows_judged", 41, 40)]
    assert "rows_judged: recorded 41, now 40" in list(told(found))


def test_another_version_of_the_code_is_named(decided: MemoryCloud) -> None:
    (said,) = reproduce(RUN, decided, Code(image="", source_sha256="0" * 64)).circumstances
    assert said.startswith("the code is another: then source ") and said.endswith("now source 000000000000")


def test_before_its_decision_a_run_cannot_be_compared() -> None:
    with pytest.raises(NotYet):
        reproduce(RUN, MemoryCloud(), CODE)


def test_rows_that_are_gone_are_named(decided: MemoryCloud) -> None:
    cloud = MemoryCloud()
    cloud.state, cloud.artefacts = decided.state, decided.artefacts
    with pytest.raises(BadInput, match="this generation is gone"):
        reproduce(RUN, cloud, CODE)


def test_the_lineage_names_objects_settings_code_libraries_and_seeds(decided: MemoryCloud) -> None:
    (key,) = [key for key in list(decided.artefacts.keys()) if key.endswith("/lineage.json")]
    kept = Lineage.model_validate_json(decided.artefacts.read(key) or b"")
    assert [(one.object, one.rows) for one in kept.window] == [("gs://data/data/demo/b.csv", 40)]
    assert [(one.object, one.rows) for one in kept.earlier] == [("gs://data/data/demo/a.csv", 40)]
    assert (kept.rows, kept.settings_generation, kept.seeds) == (80, 7, {"folds": 0, "fit": 0})
    assert kept.settings["data"]["target"] == "y"
    assert len(kept.code.source_sha256) == 64
    assert "scikit-learn" in kept.library_versions


def test_the_commit_is_that_of_the_image_where_it_was_baked_in() -> None:
    assert code_of({"SERIN_COMMIT": "abc", "SERIN_TRAINING_IMAGE": "i@sha256:1"}).commit == "abc"
