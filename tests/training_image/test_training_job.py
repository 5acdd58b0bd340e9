"""The job reads exactly what its run's record names, and always says how it ended."""

import hashlib
import json
from typing import Any

import pytest

from shared.artefacts import digest
from shared.errors import BadInput, Transient
from shared.events import EvaluationCompleted, TrainingFailed
from shared.ids import ModelName
from shared.ledger import Outcome, window_key
from tests.training_image.recorded_run import MORE, ROWS, drop, ledger, order, window_of
from tests.world.cloud import MemoryCloud
from training_image.job import read_order, run_job

MODEL = ModelName("demo")
NAMES = (
    "README.md",
    "anomaly.onnx",
    "baseline.json",
    "evaluation.json",
    "golden.json",
    "lineage.json",
    "model.onnx",
    "report.html",
    "report.json",
    "signature.json",
)


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def open_run(
    cloud: MemoryCloud,
    window: int,
    uploads: list[dict[str, Any]],
    earlier: list[dict[str, Any]] | None = None,
    champion: dict[str, Any] | None = None,
) -> None:
    ledger(cloud).record(window_key(MODEL, window), Outcome(window_of(uploads, earlier, champion)))


def said(cloud: MemoryCloud) -> EvaluationCompleted | TrainingFailed:
    (envelope,) = cloud.bus.events()
    assert isinstance(envelope.payload, EvaluationCompleted | TrainingFailed)
    return envelope.payload


def failure(cloud: MemoryCloud) -> TrainingFailed:
    event = said(cloud)
    assert isinstance(event, TrainingFailed)
    return event


def test_a_run_ends_with_its_artefacts_and_one_event_that_names_them(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/b.csv", MORE)], [drop(cloud, "data/demo/a.csv", ROWS)])
    assert run_job(order(), cloud) == 0
    event = said(cloud)
    assert isinstance(event, EvaluationCompleted)
    assert (event.run, event.attempt, event.job) == ("demo-000002", 1, "77")
    assert (event.evaluation.rows_trained, event.evaluation.rows_judged) == (80, 40)
    assert event.artefacts == f"gs://artefacts/demo/demo-000002/1/model/{event.digest}/"
    folder = event.artefacts.removeprefix("gs://artefacts/")
    files = {name: cloud.artefacts.read(f"{folder}{name}") or b"" for name in NAMES}
    assert cloud.artefacts.keys() == [f"{folder}{name}" for name in NAMES]
    assert event.digest == digest(files)
    assert json.loads(files["evaluation.json"]) == event.evaluation.model_dump(mode="json")


def test_the_event_continues_its_chain(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    run_job(order(SERIN_TRACEPARENT="00-1-2-01"), cloud)
    (envelope,) = cloud.bus.events()
    assert (envelope.cause, envelope.traceparent) == ("cause-1", "00-1-2-01")
    assert envelope.id == "runs/demo/000002/job-1/77#evaluation-completed"


def test_a_second_life_of_the_job_says_the_same_again(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    assert (run_job(order(), cloud), run_job(order(), cloud)) == (0, 0)
    first, second = cloud.bus.events()
    assert (first.id, first.payload) == (second.id, second.payload)


def test_a_job_killed_between_two_artefacts_is_completed_by_its_second_life(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    cloud.door.after["storage.create"] = Transient("storage.create", "killed")
    assert run_job(order(), cloud) == 1
    assert len(cloud.artefacts.keys()) == 1
    assert run_job(order(), cloud) == 0
    assert len(cloud.artefacts.keys()) == len(NAMES)


def test_exactly_the_named_generation_is_read(cloud: MemoryCloud) -> None:
    upload = drop(cloud, "data/demo/a.csv", ROWS)
    drop(cloud, "data/demo/a.csv", MORE + MORE)
    open_run(cloud, 2, [upload])
    assert run_job(order(), cloud) == 0
    event = said(cloud)
    assert isinstance(event, EvaluationCompleted) and event.evaluation.rows_trained == 40


def test_the_champion_is_judged_on_the_new_rows_from_its_own_artefacts(cloud: MemoryCloud) -> None:
    first = drop(cloud, "data/demo/a.csv", ROWS)
    open_run(cloud, 1, [first])
    assert run_job(order(SERIN_RUN="demo-000001"), cloud) == 0
    (envelope,) = (cloud.bus.events()[0],)
    cloud.bus.take()
    assert isinstance(envelope.payload, EvaluationCompleted)
    champion = {"id": "1", "version": "4", "run": "demo-000001", "artefacts": envelope.payload.artefacts}
    open_run(cloud, 2, [drop(cloud, "data/demo/b.csv", MORE)], [first], champion)
    assert run_job(order(), cloud) == 0
    event = said(cloud)
    assert isinstance(event, EvaluationCompleted) and event.evaluation.champion is not None
    assert (event.evaluation.champion.run, event.evaluation.champion.version) == ("demo-000001", "4")


def test_rows_that_cannot_be_trained_on_end_for_good_with_every_reason(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", "size,y\n1,big\n2,big\n3,\n")])
    assert run_job(order(), cloud) == 1
    event = failure(cloud)
    assert (event.permanent, event.set_aside) == (True, True)
    assert event.reason == "1 of 3 rows have no target 'y'; every other row has the same target 'y': 'big'"
    assert "uploads read" in event.log[0]
    assert cloud.artefacts.keys() == []


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("1,big\n2,big\n3,big\n4,big\n5,big\n", "every row has the same target 'y': 'big'"),
        ("1,big\n2,small\n3,big\n4,small\n", "4 rows are fewer than the 5 folds of the cross-validation"),
        ("1,big\n2,small\n3,big\n4,big\n5,big\n", "at least two labels need at least two rows each"),
    ],
)
def test_rows_that_are_only_too_few_are_left_to_the_next_run(cloud: MemoryCloud, rows: str, reason: str) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", f"size,y\n{rows}")])
    assert run_job(order(), cloud) == 1
    event = failure(cloud)
    assert (event.reason, event.permanent, event.set_aside) == (reason, True, False)


def test_bytes_that_are_not_those_accepted_are_not_trained_on(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [{**drop(cloud, "data/demo/a.csv", ROWS), "content": "0" * 64}])
    assert run_job(order(), cloud) == 1
    assert "not the bytes that were accepted" in failure(cloud).reason


def test_a_generation_that_is_gone_is_named_and_may_be_tried_again(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [{**drop(cloud, "data/demo/a.csv", ROWS), "generation": 999}])
    assert run_job(order(), cloud) == 1
    assert failure(cloud).reason.startswith("gs://data/data/demo/a.csv#999: this generation is gone")
    assert not failure(cloud).permanent


def test_a_busy_service_is_a_failure_that_may_be_tried_again(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    cloud.door.before["storage.read"] = Transient("storage.read", "status 503")
    assert run_job(order(), cloud) == 1
    assert not failure(cloud).permanent


def test_a_run_without_a_record_fails_with_its_key(cloud: MemoryCloud) -> None:
    assert run_job(order(), cloud) == 1
    assert failure(cloud).reason == "not yet: windows/demo/000002"


def test_a_bug_is_told_by_its_place_and_never_by_its_text(
    cloud: MemoryCloud, capfd: pytest.CaptureFixture[str]
) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    cloud.door.before["storage.create"] = RuntimeError("a cell of somebody's data")
    assert run_job(order(), cloud) == 1
    assert failure(cloud).reason.startswith("RuntimeError at cloud.py:")
    assert any(line.startswith("  at job.py:") for line in failure(cloud).log)
    assert not any("a cell of somebody's data" in line for line in failure(cloud).log)
    assert "Traceback" in capfd.readouterr().err


def test_artefacts_of_somebody_else_under_our_name_are_not_touched(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    run_job(order(), cloud)
    (model,) = [key for key in list(cloud.artefacts.keys()) if key.endswith("/model.onnx")]
    elsewhere = MemoryCloud()
    elsewhere.data, elsewhere.state = cloud.data, cloud.state
    elsewhere.artefacts.put(model, b"other")
    assert run_job(order(), elsewhere) == 1
    assert "stands already with other bytes" in failure(elsewhere).reason
    assert elsewhere.artefacts.read(model) == b"other"


def test_the_evaluation_is_written_last(cloud: MemoryCloud) -> None:
    open_run(cloud, 2, [drop(cloud, "data/demo/a.csv", ROWS)])
    run_job(order(), cloud)
    newest = max(cloud.artefacts.entries(""), key=lambda entry: entry.generation)
    assert newest.key.endswith("/evaluation.json")


def test_an_order_names_everything_that_is_missing_or_wrong() -> None:
    with pytest.raises(BadInput) as caught:
        read_order({"SERIN_RUN": "demo", "SERIN_ATTEMPT": "one"}, "artefacts")
    assert caught.value.reasons == (
        "CLOUD_ML_JOB_ID is not set",
        "SERIN_RUN is not <model>-<six digits>",
        "SERIN_ATTEMPT is not a number",
    )


def test_the_place_of_the_artefacts_is_the_one_that_the_service_gives() -> None:
    assert order(AIP_MODEL_DIR="gs://artefacts/x/model").output == "gs://artefacts/x/model/"
    with pytest.raises(BadInput, match="not in the artefacts bucket"):
        order(AIP_MODEL_DIR="gs://elsewhere/model/")


def test_the_digest_is_that_of_sha256sums_own_lines() -> None:
    lines = f"{hashlib.sha256(b'1').hexdigest()}  a\n{hashlib.sha256(b'2').hexdigest()}  b\n"
    assert digest({"b": b"2", "a": b"1"}) == hashlib.sha256(lines.encode()).hexdigest()
