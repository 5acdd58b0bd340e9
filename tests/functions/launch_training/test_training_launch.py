"""One recorded job per attempt, whatever is repeated, lost, refused or slow; a failed one is made again."""

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import NotYet, Refused, Transient
from shared.events import Notification, TrainingRequested
from shared.ids import RunId, UploadId, run_id
from shared.ledger import Outcome, run_key, window_key
from shared.settings import current
from shared.windows import Upload, carry
from tests.functions.standing_rollout import MODEL
from tests.functions.standing_run import RUN, event, ledger, open_run, published, record, records
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send, settle, tick

LEASE_SECONDS = 60


@pytest.fixture
def cloud() -> MemoryCloud:
    """A model with settings, a schema, and five rows that wait in its first window."""
    made = MemoryCloud()
    made.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n[threshold]\nat_least = 5\n')
    ledger(made).record("schemas/digits", Outcome({"columns": {"p0": "number", "digit": "text"}}))
    wait_for_training(made, 5, 1)
    return made


def wait_for_training(cloud: MemoryCloud, rows: int, window: int) -> None:
    upload = Upload(UploadId(f"{rows:020d}"), "data", f"data/digits/{rows}.csv", 1, f"{rows:064d}", rows)
    carry(ledger(cloud), MODEL, upload, window)


def launch(cloud: MemoryCloud, **changes: Any) -> int:
    return send(cloud, "launch_training", event("training-requested", **changes))


def failed(cloud: MemoryCloud, **changes: Any) -> int:
    job = data_of(cloud, f"runs/digits/000002/job-{changes.get('attempt', 1)}")["job"]
    return send(cloud, "launch_training", event("training-failed", **{"job": job, **changes}))


def jobs(cloud: MemoryCloud, run: str = "digits-000001") -> list[tuple[str, str]]:
    return [(job.labels["serin-attempt"], job.state) for job in cloud.vertex.jobs({"serin-run": run})]


def test_a_full_window_is_closed_and_its_job_made(cloud: MemoryCloud) -> None:
    assert launch(cloud) == 200
    window = data_of(cloud, "windows/digits/000001")
    assert (window["run"], window["rows"], window["champion"]) == ("digits-000001", 5, None)
    (order,) = cloud.vertex.orders
    assert order.labels == {
        "managed-by": "serin", "serin-model": "digits", "serin-run": "digits-000001", "serin-attempt": "1",
    }  # fmt: skip
    assert data_of(cloud, "runs/digits/000001/job-1")["job"].endswith("/customJobs/1")


def test_the_job_is_told_what_led_to_it(cloud: MemoryCloud) -> None:
    cause = event("training-requested")
    launch(cloud)
    variables = cloud.vertex.orders[0].variables
    assert variables["SERIN_CAUSE"] == cause.id
    assert variables["SERIN_TRACEPARENT"].split("-")[1] == (cause.traceparent or "").split("-")[1]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", ["vertex.create_job", "vertex.list_jobs", "storage.create", "pubsub.publish"])
def test_whatever_fails_once_one_job_is_made(cloud: MemoryCloud, effect: str, when: str) -> None:
    getattr(cloud.door, when)[effect] = Transient(effect, "timeout")
    assert launch(cloud) == 500
    cloud.pass_time(LEASE_SECONDS)
    assert launch(cloud) == 200
    assert jobs(cloud) == [("1", "RUNNING")]


def test_while_one_delivery_works_another_is_put_off(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.create_job"] = Transient("vertex.create_job", "timeout")
    assert [launch(cloud), launch(cloud)] == [500, 500]
    assert jobs(cloud) == []


def test_a_job_that_came_after_its_record_is_cancelled_by_its_maker(cloud: MemoryCloud) -> None:
    def another_takes_over() -> None:
        cloud.pass_time(LEASE_SECONDS)
        assert launch(cloud) == 200

    cloud.door.meanwhile["vertex.create_job"] = another_takes_over
    assert launch(cloud) == 200
    assert sorted(state for _, state in jobs(cloud)) == ["CANCELLED", "RUNNING"]
    kept = data_of(cloud, "runs/digits/000001/job-1")["job"]
    assert cloud.vertex.job(kept).state == "RUNNING"


@pytest.fixture
def on_cloud_run(cloud: MemoryCloud) -> MemoryCloud:
    """The same model, trained on Cloud Run."""
    text = cloud.data.read("settings/digits.toml") or b""
    cloud.data.put("settings/digits.toml", text + b'[training]\nbackend = "cloud_run"\n')
    return cloud


def test_a_job_on_cloud_run_that_somebody_else_made_meanwhile_is_the_same_job(on_cloud_run: MemoryCloud) -> None:
    """Not even one that has failed already is mistaken for a refusal: whoever watches jobs tells of that."""
    cloud = on_cloud_run

    def meanwhile() -> None:
        cloud.pass_time(cloud.environment.lease_seconds + 1)
        assert launch(cloud) == 200
        (made,) = cloud.jobs.found
        cloud.jobs.end(made, "EXECUTION_FAILED")

    cloud.door.meanwhile["run.create_job"] = meanwhile
    assert launch(cloud) == 200
    (made,) = cloud.jobs.found
    assert data_of(cloud, "runs/digits/000001/job-1")["job"] == made
    assert records(cloud, RunId("digits-000001")) == ["job-1"]


def test_whoever_makes_a_job_on_cloud_run_tidies_those_of_earlier_runs_away(on_cloud_run: MemoryCloud) -> None:
    """But for as many as are kept for people to look at: one, in these worlds."""
    cloud = on_cloud_run
    for window in (1, 2, 3):
        if window > 1:
            wait_for_training(cloud, 5 + window, window)
        assert launch(cloud, window=window) == 200
        cloud.jobs.end(list(cloud.jobs.found)[-1], "EXECUTION_SUCCEEDED")
        record(cloud, "end", {"outcome": "rejected"}, run=RunId(f"digits-{window:06d}"))
    assert [job.labels["serin-run"] for job in cloud.jobs.jobs()] == ["digits-000002", "digits-000003"]


def test_before_the_run_before_has_ended_nothing_is_closed(cloud: MemoryCloud) -> None:
    launch(cloud)
    published(cloud)
    wait_for_training(cloud, 6, 2)
    assert launch(cloud, window=2) == 200
    assert ledger(cloud).find(window_key(MODEL, 2)) is None
    assert published(cloud) == []
    ledger(cloud).record(run_key(RUN.__class__("digits-000001"), "end"), Outcome({"outcome": "rejected"}))
    assert launch(cloud, window=2) == 200
    assert data_of(cloud, "windows/digits/000002")["rows"] == 6


def test_a_marker_that_came_after_the_list_is_carried_into_the_next_window(cloud: MemoryCloud) -> None:
    late = Upload(UploadId("9" * 20), "data", "data/digits/9.csv", 1, "9" * 64, 9)
    key = f"pending/digits/000001/{late.id}"
    cloud.door.meanwhile["storage.create"] = lambda: (
        ledger(cloud).record(key, Outcome(late.to_json()), {"rows": "9"}) and None
    )
    launch(cloud)
    launch(cloud)
    listed = [upload["id"] for upload in data_of(cloud, "windows/digits/000001")["uploads"]]
    waits = [entry.key.rsplit("/", 1)[-1] for entry in ledger(cloud).entries("pending/digits/000002/")]
    assert sorted([*listed, *waits]) == sorted([f"{5:020d}", late.id])


def test_a_persons_request_is_bound_to_one_window(cloud: MemoryCloud) -> None:
    wish = event("training-requested", window=None, request="r1", reason="person", by="ada", because="now")
    for _ in range(2):
        assert send(cloud, "launch_training", wish) == 200
    assert data_of(cloud, "requests/digits/r1")["window"] == 1
    assert data_of(cloud, "windows/digits/000001")["request"]["by"] == "ada"
    assert len(cloud.vertex.orders) == 1


@pytest.mark.parametrize("reason", ["person", "drift"])
def test_a_request_while_a_run_is_open_starts_after_it_however_few_rows_wait(cloud: MemoryCloud, reason: str) -> None:
    current(ledger(cloud), cloud.data, MODEL)
    launch(cloud)
    wait_for_training(cloud, 1, 2)
    published(cloud)
    wish = {"window": None, "request": "r1", "reason": reason, "by": "ada", "because": "now"}
    assert launch(cloud, **wish) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.title == "digits: training is asked for and starts after digits-000001"
    tick(cloud)
    settle(cloud, lambda function: function == "launch_training")
    assert ledger(cloud).find(window_key(MODEL, 2)) is None
    record(cloud, "end", {"outcome": "rejected"}, run=RunId("digits-000001"))
    tick(cloud)
    settle(cloud, lambda function: function == "launch_training")
    request = {"reason": reason, "by": "ada", "because": "now", "request": "r1", "rows": 1}
    assert data_of(cloud, "windows/digits/000002")["request"] == request


def test_a_request_whose_function_died_once_its_window_was_bound_is_carried_out(cloud: MemoryCloud) -> None:
    current(ledger(cloud), cloud.data, MODEL)
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n[threshold]\nat_least = 100\n')
    cloud.door.meanwhile["storage.create"] = lambda: cloud.door.after.update({"storage.list": NotYet("its end")})
    launch(cloud, window=None, request="r1", reason="person", by="ada", because="now")
    assert ledger(cloud).find(window_key(MODEL, 1)) is None
    tick(cloud)
    settle(cloud, lambda function: function == "launch_training")
    assert data_of(cloud, "windows/digits/000001")["request"]["by"] == "ada"


def test_a_persons_request_without_rows_is_answered() -> None:
    cloud = MemoryCloud()
    wish = event("training-requested", window=None, request="r1", reason="person", by="ada", because="now")
    assert send(cloud, "launch_training", wish) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert "nothing to train on" in notice.title
    assert cloud.vertex.orders == []


def test_a_job_that_vertex_ai_refuses_to_make_ends_the_run_with_the_reason(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.create_job"] = Refused("vertex.create_job", "status 400: Image 'mine:1' is not there")
    assert launch(cloud) == 200
    end = data_of(cloud, "runs/digits/000001/end")
    assert (end["outcome"], end["set_aside"]) == ("failed", False)
    assert end["reasons"] == ["attempt 1: vertex.create_job refused: status 400: Image 'mine:1' is not there"]
    first = published(cloud)
    assert launch(cloud) == 200
    assert published(cloud) == first
    assert jobs(cloud) == []


@pytest.mark.parametrize("image", ["", "mine:1", "mine@sha256:12"])
def test_where_images_go_by_their_digest_no_other_is_trained(cloud: MemoryCloud, image: str) -> None:
    cloud.environment = replace(cloud.environment, images_by_digest=True)
    settings = f'[data]\ntarget = "digit"\n[threshold]\nat_least = 5\n[training]\nimage = "{image}"\n'
    cloud.data.put("settings/digits.toml", settings.encode())
    assert launch(cloud) == 200
    (reason,) = data_of(cloud, "runs/digits/000001/end")["reasons"]
    assert "is not named by its digest" in reason
    assert (jobs(cloud), "vertex.create_job" in cloud.door.effects) == ([], False)


@pytest.fixture
def trained() -> MemoryCloud:
    """A run whose first job is recorded."""
    made = MemoryCloud()
    open_run(made, training={"attempts": 2})
    job = "projects/p/locations/l/customJobs/1701"
    record(made, "job-1", {"job": job, "attempt": 1, "output": "gs://artefacts/x"})
    return made


def test_an_attempt_that_failed_is_made_again_on_the_same_window(trained: MemoryCloud) -> None:
    assert failed(trained) == 200
    assert failed(trained) == 200
    assert jobs(trained, RUN) == [("2", "RUNNING")]
    assert {"failed-1", "job-2"} <= set(records(trained))
    assert "end" not in records(trained)


def test_the_last_attempt_that_fails_ends_the_run(trained: MemoryCloud) -> None:
    failed(trained)
    assert failed(trained, attempt=2) == 200
    end = data_of(trained, "runs/digits/000002/end")
    assert (end["outcome"], end["set_aside"]) == ("failed", False)
    assert end["reasons"] == ["attempt 2: the job ended FAILED: The replica workerpool0-0 was ended by signal 9."]
    assert len(jobs(trained, RUN)) == 1


def test_rows_that_cannot_be_trained_on_end_the_run_at_once_and_are_set_aside(trained: MemoryCloud) -> None:
    assert failed(trained, permanent=True, set_aside=True, reason="2 rows have no target") == 200
    assert data_of(trained, "runs/digits/000002/end")["set_aside"] is True
    assert jobs(trained, RUN) == []


def test_too_few_rows_end_the_run_at_once_but_the_next_one_trains_on_them(trained: MemoryCloud) -> None:
    assert failed(trained, permanent=True, reason="4 rows are fewer than the 5 folds") == 200
    assert data_of(trained, "runs/digits/000002/end")["set_aside"] is False


def test_the_record_of_a_failure_keeps_its_log_and_people_are_told_the_end_of_it(trained: MemoryCloud) -> None:
    log = tuple(f"line {number}" for number in range(100))
    assert failed(trained, permanent=True, log=log) == 200
    assert data_of(trained, "runs/digits/000002/failed-1")["log"] == list(log)
    assert data_of(trained, "runs/digits/000002/end")["reasons"][-1] == "log: line 99"
    assert len(data_of(trained, "runs/digits/000002/end")["reasons"]) == 11


def test_a_trainer_of_ones_own_is_told_what_the_contract_names(cloud: MemoryCloud) -> None:
    text = b"""[data]
target = "digit"
[threshold]
at_least = 5
[training]
image = "europe-docker.pkg.dev/p/own/trainer:3"
machine_type = "a2-highgpu-1g"
accelerator_type = "NVIDIA_TESLA_A100"
accelerator_count = 1
spot = true
"""
    cloud.data.put("settings/digits.toml", text)
    assert launch(cloud) == 200
    (order,) = cloud.vertex.orders
    assert order.image == "europe-docker.pkg.dev/p/own/trainer:3"
    gpu = (order.machine_type, order.accelerator_type, order.accelerator_count, order.spot)
    assert gpu == ("a2-highgpu-1g", "NVIDIA_TESLA_A100", 1, True)
    told = {name: order.variables[name] for name in ("DATA_DIR", "ARTIFACTS_DIR", "BUCKET_NAME", "VERSION")}
    assert told == {
        "DATA_DIR": "gs://data/data/digits/",
        "ARTIFACTS_DIR": "gs://artefacts/digits/digits-000001/1/model/",
        "BUCKET_NAME": "artefacts",
        "VERSION": "1",
    }
    assert order.variables["SERIN_INPUTS"] == "gs://state/windows/digits/000001"
    assert data_of(cloud, "runs/digits/000001/job-1")["image"] == order.image


def test_a_failure_of_a_job_that_is_not_the_recorded_one_says_nothing(trained: MemoryCloud) -> None:
    assert failed(trained, job="projects/p/locations/l/customJobs/9") == 200
    assert records(trained) == ["job-1"]


def test_a_failure_that_comes_after_the_decision_says_nothing(trained: MemoryCloud) -> None:
    record(trained, "decision", {"verdict": "deploy"})
    assert failed(trained) == 200
    assert "failed-1" not in records(trained)


def test_a_request_of_a_model_without_settings_is_not_yet() -> None:
    cloud = MemoryCloud()
    wait_for_training(cloud, 5, 1)
    assert launch(cloud) == 500
    assert isinstance(event("training-requested").payload, TrainingRequested)


def test_of_a_rejected_run_before_no_rollout_is_looked_for(cloud: MemoryCloud) -> None:
    """Most runs are rejected, and whatever is read of each is read again for every later one."""
    launch(cloud)
    reads = []
    for window in (2, 3):
        record(cloud, "end", {"outcome": "rejected", "set_aside": False}, run=run_id(MODEL, window - 1))
        wait_for_training(cloud, 5 + window, window)
        before = cloud.door.effects.count("storage.read")
        assert launch(cloud, window=window) == 200
        reads.append(cloud.door.effects.count("storage.read") - before)
    assert reads[1] - reads[0] == 2  # the window and its run's end


@pytest.mark.parametrize("erased", [False, True])
def test_what_was_erased_is_trained_on_no_more(cloud: MemoryCloud, erased: bool) -> None:
    launch(cloud)
    record(cloud, "end", {"outcome": "rejected", "set_aside": False}, run=RunId("digits-000001"))
    wait_for_training(cloud, 6, 2)
    if erased:
        ledger(cloud).record(f"erasures/digits/{5:020d}", Outcome({"by": "ada", "because": "she asked"}))
    assert launch(cloud, window=2) == 200
    window = data_of(cloud, "windows/digits/000002")
    assert [upload["id"] for upload in window["uploads"]] == [f"{6:020d}"]
    assert [upload["id"] for upload in window["earlier"]] == ([] if erased else [f"{5:020d}"])
