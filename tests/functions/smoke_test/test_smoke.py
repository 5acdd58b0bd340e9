"""The smoke test passes only what answers as in training, refuses bad rows and is fast, and says so exactly once."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from shared.errors import Refused, Transient
from shared.events import Notification, RetirementDue, SmokeFailed, SmokePassed
from shared.serving import Machine
from tests.functions.standing_run import event, open_run, published, record, records, topics
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send

VERSION = "projects/p/locations/us-central1/models/digits@2"
STAGED = {
    "version": VERSION,
    "artefacts": "gs://artefacts/digits/digits-000002/1/model/",
    "endpoint": "serin-digits-staging",
    "deployed_model": "2",
}
TIMEOUT_SECONDS = 600
GOLDEN = {
    "rows": [{"p0": 0.0, "p1": None}, {"p0": 16.0, "p1": 3.0}],
    "probabilities": [[0.75, 0.25], [0.125, 0.875]],
    "labels": ["0", "1"],
    "bad_rows": [[{"p1": 3.0}, "p0: missing"], [{"p0": "not a number", "p1": 3.0}, "p0: not a number"]],
}
Answer = Callable[[dict[str, Any]], dict[str, Any]]


def as_in_training(row: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(row.get("p0"), float):
        raise Refused("vertex.predict", "status 400: p0 is no number")
    number = 1 if row["p0"] else 0
    probabilities = [[0.75, 0.25], [0.125, 0.875]][number]
    return {"label": str(number), "probability": max(probabilities), "probabilities": probabilities, "receipt": "r"}


def serve(cloud: MemoryCloud, answer: Answer, seconds: Sequence[float] = (0.0,)) -> None:
    """Has the staged version answer each row so, every request taking as long as said in turn."""
    times = list(seconds)

    def predict(version: str, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        assert (version, parameters) == (VERSION, {"probabilities": True})
        cloud.pass_time(times.pop(0) if len(times) > 1 else times[0])
        return [answer(row) for row in instances]

    cloud.vertex.predict_version = predict


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    open_run(made, serving={"deploy_timeout_seconds": TIMEOUT_SECONDS, "smoke_latency_seconds": 0.5})
    record(made, "staged", STAGED)
    made.artefacts.put("digits/digits-000002/1/model/golden.json", json.dumps(GOLDEN).encode())
    made.vertex.create_endpoint("serin-digits-staging")
    made.vertex.deploy("serin-digits-staging", "2", VERSION, Machine("m"), {"0": 100})
    serve(made, as_in_training)
    return made


def smoke(cloud: MemoryCloud) -> int:
    return send(cloud, "smoke_test", event("model-staged"))


def failed_checks(cloud: MemoryCloud) -> dict[str, list[str]]:
    checks = data_of(cloud, "runs/digits/000002/smoke")["checks"]
    return {check["name"]: check["reasons"] for check in checks if not check["passed"]}


def test_what_answers_as_in_training_passes_and_staging_is_done_with(cloud: MemoryCloud) -> None:
    assert smoke(cloud) == 200
    passed, retired = published(cloud)
    assert isinstance(passed, SmokePassed)
    assert isinstance(retired, RetirementDue)
    assert (passed.version, passed.artefacts) == (VERSION, STAGED["artefacts"])
    assert (retired.what, retired.target) == ("staging", "2")
    kept = data_of(cloud, "runs/digits/000002/smoke")
    assert [(check["name"], check["passed"]) for check in kept["checks"]] == [
        ("same answers as in training", True),
        ("fast enough", True),
        ("refuses p0: missing", True),
        ("refuses p0: not a number", True),
    ]
    assert (kept["passed"], "end" in records(cloud)) == (True, False)


def test_what_answers_otherwise_fails_and_ends_the_run(cloud: MemoryCloud) -> None:
    serve(cloud, lambda row: {**as_in_training(row), "label": "7"})
    assert smoke(cloud) == 200
    failed, retired, notice = published(cloud)
    assert isinstance(failed, SmokeFailed)
    assert isinstance(retired, RetirementDue)
    assert isinstance(notice, Notification)
    reasons = (
        "same answers as in training: row 0: label '7' instead of '0'",
        "same answers as in training: row 1: label '7' instead of '1'",
    )
    end = data_of(cloud, "runs/digits/000002/end")
    assert failed.reasons == notice.why == tuple(end["reasons"]) == reasons
    assert (end["outcome"], end["by"], end["set_aside"]) == ("failed", "smoke_test", False)


def test_a_bad_row_that_is_answered_fails(cloud: MemoryCloud) -> None:
    serve(cloud, lambda row: as_in_training(row if isinstance(row.get("p0"), float) else {"p0": 0.0}))
    smoke(cloud)
    reasons = ["a bad row was answered with a prediction"]
    assert failed_checks(cloud) == {"refuses p0: missing": reasons, "refuses p0: not a number": reasons}


def test_the_fastest_try_counts(cloud: MemoryCloud) -> None:
    serve(cloud, as_in_training, (9.0, 0.5, 4.0))
    smoke(cloud)
    assert failed_checks(cloud) == {}


def test_what_is_slow_at_every_try_fails(cloud: MemoryCloud) -> None:
    serve(cloud, as_in_training, (0.9, 0.6, 0.7))
    smoke(cloud)
    assert failed_checks(cloud) == {"fast enough": ["0.600 s for 2 rows, at most 0.5 s are allowed"]}


def test_what_differs_at_one_try_only_fails(cloud: MemoryCloud) -> None:
    labels = iter(["0", "1", "0", "0", "0", "1"])
    serve(
        cloud, lambda row: as_in_training(row) | ({"label": next(labels)} if isinstance(row.get("p0"), float) else {})
    )
    smoke(cloud)
    assert failed_checks(cloud) == {"same answers as in training": ["row 1: label '0' instead of '1'"]}


def test_good_rows_that_are_refused_fail(cloud: MemoryCloud) -> None:
    def refuse(_row: dict[str, Any]) -> dict[str, Any]:
        raise Refused("vertex.predict", "status 400: unknown feature")

    serve(cloud, refuse)
    smoke(cloud)
    assert failed_checks(cloud) == {
        "same answers as in training": ["vertex.predict refused: status 400: unknown feature"]
    }


def test_an_endpoint_that_is_busy_is_asked_again_later(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.predict"] = Transient("vertex.predict", "status 503")
    assert smoke(cloud) == 500
    assert "smoke" not in records(cloud)
    assert smoke(cloud) == 200
    assert failed_checks(cloud) == {}


def test_an_endpoint_that_stays_busy_until_its_time_is_over_fails(cloud: MemoryCloud) -> None:
    cloud.pass_time(TIMEOUT_SECONDS)
    cloud.door.before["vertex.predict"] = Transient("vertex.predict", "status 503")
    assert smoke(cloud) == 200
    assert failed_checks(cloud) == {"answers": ["none after 600 s: vertex.predict failed for now: status 503"]}


def test_without_golden_rows_nothing_is_proved_and_the_test_fails() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "staged", STAGED)
    assert smoke(cloud) == 200
    assert failed_checks(cloud) == {"golden rows": [f"there is no golden.json in {STAGED['artefacts']}"]}
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "failed"


def test_artefacts_elsewhere_are_not_read() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "staged", {**STAGED, "artefacts": "gs://elsewhere/digits/"})
    assert smoke(cloud) == 200
    why = "gs://elsewhere/digits/ is not in this installation's artefacts bucket"
    assert failed_checks(cloud) == {"golden rows": [why]}


def test_before_the_challenger_is_staged_its_test_is_not_yet() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    assert smoke(cloud) == 500
    assert records(cloud) == []


def test_a_redelivery_does_not_test_again(cloud: MemoryCloud) -> None:
    smoke(cloud)
    first, asked = cloud.bus.take(), cloud.door.effects.count("vertex.predict")
    serve(cloud, lambda row: {**as_in_training(row), "label": "7"})
    assert smoke(cloud) == 200
    assert (cloud.bus.take(), cloud.door.effects.count("vertex.predict")) == (first, asked)


def test_of_two_tests_at_once_the_first_result_stands(cloud: MemoryCloud) -> None:
    cloud.door.meanwhile["storage.create"] = lambda: _assert_ok(smoke(cloud))
    assert smoke(cloud) == 200
    said = cloud.bus.take()
    assert said[:2] == said[2:]


def test_a_staging_that_was_cleared_away_meanwhile_does_not_overturn_the_result(cloud: MemoryCloud) -> None:
    def finished_by_another() -> None:
        _assert_ok(smoke(cloud))
        cloud.vertex.undeploy("serin-digits-staging", "2")

    cloud.door.meanwhile["vertex.predict"] = finished_by_another
    assert smoke(cloud) == 200
    assert set(topics(cloud)) == {"smoke-passed", "retirement-due"}
    assert failed_checks(cloud) == {}


def test_a_crash_between_result_and_end_is_made_good_by_the_redelivery(cloud: MemoryCloud) -> None:
    serve(cloud, lambda row: {**as_in_training(row), "label": "7"})
    cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
    assert smoke(cloud) == 500
    assert (published(cloud), records(cloud)) == ([], ["smoke", "staged"])
    assert smoke(cloud) == 200
    assert records(cloud) == ["end", "smoke", "staged"]


def test_a_run_that_has_ended_is_not_tested(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    assert smoke(cloud) == 200
    assert (published(cloud), cloud.door.effects.count("vertex.predict")) == ([], 0)


def _assert_ok(status: int) -> None:
    assert status == 200
