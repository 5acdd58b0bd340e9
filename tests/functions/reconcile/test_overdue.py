"""Every tick says again what a step still waits for, and nothing when nothing is missing."""

from datetime import timedelta

import pytest

from shared.envelope import Envelope
from shared.errors import Refused, Transient
from shared.events import (
    ApprovalAnswered,
    ApprovalRequested,
    DeploymentApproved,
    EvaluationCompleted,
    Notification,
    SmokePassed,
    TrafficRequested,
    TrainingFailed,
    TrainingRequested,
)
from shared.foreign import DATA_UPLOADED
from shared.ids import ModelName, RunId, UploadId, upload_id
from shared.jobs import JobOrder
from shared.ledger import Author, Ledger, Outcome, score_key, scoring_prefix, upload_key, window_key
from shared.settings import Settings, current
from shared.trace import started
from shared.windows import Upload, carry
from tests.functions.reconcile.ticking import PLACE, due, heard, known, lost, staged
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    MODEL,
    order,
    put,
    under_way,
)
from tests.functions.standing_run import RUN, event, keys, ledger, open_run, published, record
from tests.world.cloud import START, MemoryCloud
from tests.world.running import data_of, tick


def job(cloud: MemoryCloud, state: str = "RUNNING", attempt: int = 1) -> str:
    labels = {"managed-by": "serin", "serin-run": RUN, "serin-attempt": str(attempt), "serin-model": MODEL}
    made = cloud.vertex.create_job(JobOrder("x", labels, "i", {}, PLACE.removesuffix("/model/"), "n1", "", 0, 60, None))
    cloud.vertex.end_job(made.name, state, "out of memory" if state == "FAILED" else "")
    return made.name


def recorded_job(cloud: MemoryCloud, state: str) -> str:
    name = job(cloud, state)
    record(cloud, "job-1", {"job": name, "attempt": 1, "output": PLACE.removesuffix("/model/")})
    return name


def test_a_closed_window_without_a_job_is_asked_for_again(cloud: MemoryCloud) -> None:
    (asked,) = due(cloud)
    assert isinstance(asked, TrainingRequested)
    assert asked.window == 2


def test_a_job_that_runs_is_waited_for(cloud: MemoryCloud) -> None:
    recorded_job(cloud, "RUNNING")
    assert due(cloud) == []


def test_a_job_that_failed_is_told_with_its_reason(cloud: MemoryCloud) -> None:
    name = recorded_job(cloud, "FAILED")
    cloud.vertex.logs[name] = [f"line {number}" for number in range(150)]
    (failed,) = due(cloud)
    assert isinstance(failed, TrainingFailed)
    assert (failed.job, failed.attempt, failed.reason) == (name, 1, "the job ended FAILED: out of memory")
    assert failed.log == tuple(f"line {number}" for number in range(50, 150))


def test_a_job_on_cloud_run_that_failed_is_told_with_the_reason_of_its_execution_and_its_log() -> None:
    cloud = known(MemoryCloud())
    open_run(cloud, training={"backend": "cloud_run"})
    labels = {"managed-by": "serin", "serin-run": RUN, "serin-attempt": "1", "serin-model": MODEL}
    name = cloud.run_jobs.create_job(JobOrder("x", labels, "i", {}, PLACE, "", "", 0, 60, None)).name
    record(cloud, "job-1", {"job": name, "attempt": 1, "output": PLACE.removesuffix("/model/")})
    cloud.jobs.end(name, "EXECUTION_FAILED", "the container exited with 1")
    cloud.jobs.logs[name] = ["Killed"]
    (failed,) = due(cloud)
    assert isinstance(failed, TrainingFailed)
    assert (failed.job, failed.log) == (name, ("Killed",))
    assert failed.reason == "the job ended FAILED: the container exited with 1"


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "EXPIRED"])
def test_however_a_job_ended_without_success_the_next_tick_says_so(cloud: MemoryCloud, state: str) -> None:
    recorded_job(cloud, state)
    (failed,) = due(cloud)
    assert isinstance(failed, TrainingFailed)
    assert failed.reason.startswith(f"the job ended {state}")


def test_what_is_told_of_a_job_is_in_the_trace_of_its_run() -> None:
    cloud, trace = known(MemoryCloud()), started("what closed the window")
    settings = Settings.model_validate({"data": {"target": "digit"}}).model_dump(mode="json")
    closing = Ledger(cloud.state, Author("launch_training", "e", trace, cloud.now, cloud.token))
    notice = Notification(model=MODEL, run=RUN, title="its window is closed")
    closing.record(window_key(MODEL, 2), Outcome({"run": RUN, "uploads": [], "settings": settings}, (notice,)))
    recorded_job(cloud, "FAILED")
    assert tick(cloud) == 200
    (failed,) = [each for each in cloud.bus.events() if isinstance(each.payload, TrainingFailed)]
    assert failed.traceparent == trace


def test_a_failure_is_told_although_its_log_cannot_be_read(cloud: MemoryCloud) -> None:
    recorded_job(cloud, "FAILED")
    cloud.door.before["logging.list"] = Transient("logging.list", "status 503")
    (failed,) = due(cloud)
    assert isinstance(failed, TrainingFailed)
    assert failed.log == ("the log could not be read: logging.list failed for now: status 503",)


def test_a_job_that_somebody_deleted_has_failed(cloud: MemoryCloud) -> None:
    name = recorded_job(cloud, "RUNNING")
    cloud.door.before["vertex.get_job"] = Refused("vertex.get_job", f"status 404: {name} is not found")
    (failed,) = due(cloud)
    assert isinstance(failed, TrainingFailed)
    assert (failed.job, failed.attempt, failed.reason, failed.began) == (name, 1, "the job is gone", None)


def other_model_waits(cloud: MemoryCloud) -> TrainingRequested:
    """A second model, later in the alphabet, whose run still has no job; answers what it waits for."""
    cloud.data.put("settings/zebra.toml", b'[data]\ntarget = "digit"\n')
    assert current(ledger(cloud), cloud.data, ModelName("zebra")) is not None
    open_run(cloud, RunId("zebra-000001"))
    return TrainingRequested(model=ModelName("zebra"), reason="threshold", window=1)


@pytest.mark.parametrize(
    ("trouble", "noted"),
    [(Refused("vertex.get_job", "status 403: not allowed"), 1), (Transient("vertex.get_job", "status 503"), 0)],
)
def test_trouble_with_one_model_silences_neither_its_rollout_nor_another_model(trouble: Exception, noted: int) -> None:
    cloud = known(under_way())
    recorded_job(cloud, "RUNNING")
    order(cloud, 1, 5)
    waits = other_model_waits(cloud)
    cloud.data.put("data/digits/forgotten.csv", b"digit\n3\n")
    cloud.door.before["vertex.get_job"] = trouble
    assert tick(cloud) == 500
    assert DATA_UPLOADED in [topic for topic, _ in cloud.bus.messages]
    cloud.bus.messages = [each for each in cloud.bus.messages if each[0] != DATA_UPLOADED]
    assert published(cloud) == [TrafficRequested(model=MODEL, run=RUN, rollout=2, step=1, percent=5), waits]
    assert len(keys(cloud, "bugs/reconcile/")) == noted


def test_a_bug_is_noted_whatever_else_is_in_the_way(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.list_jobs"] = Transient("vertex.list_jobs", "status 503")
    recorded_job(cloud, "RUNNING")
    cloud.door.before["vertex.get_job"] = Refused("vertex.get_job", "status 403: not allowed")
    assert tick(cloud) == 500
    (bug,) = keys(cloud, "bugs/reconcile/")
    assert data_of(cloud, bug)["frames"][-1].startswith("cloud.py:")


@pytest.mark.parametrize("labels", [{}, {"serin-run": "mine", "serin-attempt": "1"}, {"serin-run": RUN}])
def test_a_job_that_only_says_it_is_ours_is_left_alone(cloud: MemoryCloud, labels: dict[str, str]) -> None:
    recorded_job(cloud, "RUNNING")
    theirs = cloud.vertex.create_job(
        JobOrder("x", {"managed-by": "serin", **labels}, "i", {}, "gs://x", "n1", "", 0, 60, None)
    )
    assert due(cloud) == []
    assert cloud.vertex.job(theirs.name).state == "RUNNING"


def test_an_evaluation_whose_event_was_lost_is_read_back_with_its_digest(cloud: MemoryCloud) -> None:
    name = recorded_job(cloud, "SUCCEEDED")
    kept = event("evaluation-completed").payload
    assert isinstance(kept, EvaluationCompleted)
    key = PLACE.removeprefix("gs://artefacts/")
    cloud.artefacts.put(f"{key}evaluation.json", kept.evaluation.model_dump_json().encode())
    cloud.artefacts.put(f"{key}model.onnx", b"onnx")
    (told,) = due(cloud)
    assert isinstance(told, EvaluationCompleted)
    assert (told.job, told.evaluation) == (name, kept.evaluation)
    cloud.artefacts.put(f"{key}signature.json", b"{}")
    (more,) = due(cloud)
    assert isinstance(more, EvaluationCompleted)
    assert more.digest != told.digest


def test_a_job_that_succeeded_and_left_nothing_has_failed(cloud: MemoryCloud) -> None:
    recorded_job(cloud, "SUCCEEDED")
    (failed,) = due(cloud)
    assert isinstance(failed, TrainingFailed)
    assert "evaluation.json" in failed.reason


def test_a_job_that_nobody_recorded_is_cancelled_once_another_is(cloud: MemoryCloud) -> None:
    stray = job(cloud)
    due(cloud)
    assert cloud.vertex.job(stray).state == "RUNNING"
    kept = recorded_job(cloud, "RUNNING")
    due(cloud)
    assert (cloud.vertex.job(stray).state, cloud.vertex.job(kept).state) == ("CANCELLED", "RUNNING")


def test_a_job_of_a_run_that_ended_without_recording_it_is_cancelled(cloud: MemoryCloud) -> None:
    unrecorded = job(cloud)
    record(cloud, "end", {"outcome": "failed"})
    due(cloud)
    assert cloud.vertex.job(unrecorded).state == "CANCELLED"


def test_a_rejection_whose_end_was_lost_is_said_again(cloud: MemoryCloud) -> None:
    recorded_job(cloud, "SUCCEEDED")
    completed = event("evaluation-completed").payload
    assert isinstance(completed, EvaluationCompleted)
    told = completed.model_copy(update={"job": data_of(cloud, "runs/digits/000002/job-1")["job"]})
    data = {
        "verdict": "reject", "evaluation": told.evaluation.model_dump(mode="json"), "artefacts": told.artefacts,
        "digest": told.digest, "attempt": 1, "job": told.job, "card": {},
    }  # fmt: skip
    record(cloud, "decision", data)
    (again,) = due(cloud)
    assert isinstance(again, EvaluationCompleted)
    assert (again.attempt, again.digest, again.evaluation) == (1, told.digest, told.evaluation)


def asked(cloud: MemoryCloud) -> None:
    question = ApprovalRequested(
        model=MODEL, run=RUN, artefacts=PLACE, digest="d", score=60, reasons=(), expires=START + timedelta(hours=1)
    )
    record(cloud, "decision", {"verdict": "ask"}, question)


def test_halfway_the_question_is_asked_once_more(cloud: MemoryCloud) -> None:
    asked(cloud)
    cloud.pass_time(1799)
    assert due(cloud) == []
    cloud.pass_time(1)
    (first,) = cloud_events(cloud)
    assert isinstance(first.payload, Notification)
    assert first.payload.title == "digits-000002: still waits for an answer, half of the time is over"
    (again,) = cloud_events(cloud)
    assert again.id == first.id
    cloud.pass_time(60)
    assert due(cloud) == []


def cloud_events(cloud: MemoryCloud) -> list[Envelope]:
    assert tick(cloud) == 200
    told = [each for each in cloud.bus.events() if each.topic != DATA_UPLOADED]
    cloud.bus.take()
    return told


def test_a_question_expires_when_its_time_is_over_and_not_before(cloud: MemoryCloud) -> None:
    asked(cloud)
    cloud.pass_time(3599)
    assert [type(each) for each in due(cloud)] == [Notification]
    cloud.pass_time(1)
    (answer,) = due(cloud)
    assert isinstance(answer, ApprovalAnswered)
    assert (answer.answer, answer.by) == ("expire", "reconcile")


@pytest.mark.parametrize("given", ["reject", "expire"])
def test_an_answer_whose_end_was_lost_is_said_again(cloud: MemoryCloud, given: str) -> None:
    asked(cloud)
    record(cloud, "approval", {"answer": given, "by": "ada", "because": "no"})
    (answer,) = due(cloud)
    assert isinstance(answer, ApprovalAnswered)
    assert (answer.answer, answer.by) == (given, "ada")


@pytest.mark.parametrize("by", ["scorecard", "ada"])
def test_what_was_approved_is_said_until_it_is_staged(cloud: MemoryCloud, by: str) -> None:
    approved = DeploymentApproved(model=MODEL, run=RUN, artefacts=PLACE, digest="d", score=90, by=by, reasons=())
    if by == "scorecard":
        record(cloud, "decision", {"verdict": "deploy"}, approved)
    else:
        asked(cloud)
        record(cloud, "approval", {"answer": "approve", "by": "ada", "because": "yes"}, approved)
    assert due(cloud) == [approved]
    record(cloud, "staged", {}, staged())
    assert due(cloud) == [staged()]


def test_a_smoke_test_that_failed_without_an_end_is_asked_for_again(cloud: MemoryCloud) -> None:
    record(cloud, "decision", {"verdict": "deploy"})
    record(cloud, "staged", {}, staged())
    record(cloud, "smoke", {"passed": False})
    assert due(cloud) == [staged()]


def test_a_smoke_test_that_passed_is_said_until_the_first_step_is_ordered(cloud: MemoryCloud) -> None:
    passed = SmokePassed(model=MODEL, run=RUN, version="v", artefacts=PLACE)
    record(cloud, "decision", {"verdict": "deploy"})
    record(cloud, "staged", {}, staged())
    record(cloud, "smoke", {"passed": True}, passed)
    assert due(cloud) == [passed]
    data = {"run": RUN, "candidate": CANDIDATE.to_json(), "base": BASE.to_json(), "steps": [5, 100]}
    put(cloud, "opened", data)
    record(cloud, "rollout", {"rollout": 2})
    assert due(cloud) == [passed]
    asked_for = order(cloud, 1, 5)
    assert due(cloud) == [asked_for.events[0].payload]


def test_a_run_that_has_ended_waits_for_nothing(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    assert due(cloud) == []


def test_an_end_that_was_never_said_is_said_until_people_have_been_told(cloud: MemoryCloud) -> None:
    name = recorded_job(cloud, "FAILED")
    lost(cloud, "launch_training", event("training-failed", run=RUN, attempt=1, job=name, permanent=True))
    assert heard(cloud) == ["notifications"]
    assert heard(cloud) == []


def test_a_smoke_test_whose_failure_was_never_said_is_said_with_its_end(cloud: MemoryCloud) -> None:
    record(cloud, "decision", {"verdict": "deploy"})
    record(cloud, "staged", {"deployed_model": "2", "artefacts": PLACE, "version": "v", "endpoint": "e"}, staged())
    lost(cloud, "smoke_test", event("model-staged", run=RUN))
    assert heard(cloud) == ["smoke-failed", "retirement-due", "notifications"]
    assert heard(cloud) == []


def test_an_answer_that_was_never_said_is_said_with_its_end(cloud: MemoryCloud) -> None:
    asked(cloud)
    lost(cloud, "record_approval", event("approval-answered", run=RUN, answer="reject"))
    assert heard(cloud) == ["deployment-rejected", "notifications"]
    assert heard(cloud) == []


@pytest.mark.parametrize(("why", "announced"), [("status 404: not found", True), ("status 403: no", False)])
def test_a_file_whose_scoring_job_somebody_deleted_is_announced(cloud: MemoryCloud, why: str, announced: bool) -> None:
    begun = {"name": "score/digits/a.csv", "generation": 1, "model": MODEL, "upload": "u"}
    ledger(cloud).record(f"{scoring_prefix(START.date())}u", Outcome(begun))
    ledger(cloud).record(score_key(MODEL, "u", "job"), Outcome({"job": "b"}))
    record(cloud, "end", {"outcome": "failed"})
    cloud.door.before["vertex.get_batch_job"] = Refused("vertex.get_batch_job", why)
    assert tick(cloud) == (200 if announced else 500)
    names = [message.attributes["objectId"] for topic, message in cloud.bus.take() if topic == DATA_UPLOADED]
    assert names == (["score/digits/a.csv"] if announced else [])


def test_a_threshold_that_was_crossed_while_nobody_looked_is_found(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    carry(ledger(cloud), MODEL, waiting(99), 3)
    assert due(cloud) == []
    carry(ledger(cloud), MODEL, waiting(1), 3)
    (wish,) = due(cloud)
    assert isinstance(wish, TrainingRequested)
    assert (wish.window, wish.rows, wish.reason) == (3, 100, "threshold")


@pytest.mark.parametrize(("hours", "rows", "asked"), [(23, 30, []), (25, 30, [("schedule", 3, 30)]), (25, 0, [])])
def test_a_schedule_trains_on_what_waits_and_on_nothing_where_nothing_does(
    cloud: MemoryCloud, hours: int, rows: int, asked: list[tuple[str, int, int]]
) -> None:
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n[threshold]\nretrain_every = "24h"\n')
    record(cloud, "end", {"outcome": "live"})
    if rows:
        carry(ledger(cloud), MODEL, Upload(UploadId("1" * 20), "data", "a.csv", 1, "0" * 64, rows), 3)
    cloud.pass_time(hours * 3600)
    wishes = [each for each in due(cloud) if isinstance(each, TrainingRequested)]
    assert [(wish.reason, wish.window, wish.rows) for wish in wishes] == asked


def test_a_marker_that_the_last_window_lacks_is_walked_on_by_its_closer(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    late = waiting(5)
    ledger(cloud).record(f"pending/{MODEL}/000002/{late.id}", Outcome(late.to_json()), {"rows": "5"})
    (wish,) = due(cloud)
    assert isinstance(wish, TrainingRequested)
    assert wish.window == 2


def test_an_upload_that_was_never_announced_is_announced_once_a_beat(cloud: MemoryCloud) -> None:
    cloud.data.put("data/digits/forgotten.csv", b"digit\n3\n")
    record(cloud, "end", {"outcome": "failed"})
    for _ in range(3):
        assert tick(cloud) == 200
    announced = [message.attributes for topic, message in cloud.bus.take() if topic == DATA_UPLOADED]
    assert [each["objectId"] for each in announced] == ["data/digits/forgotten.csv"]
    cloud.pass_time(3600)
    tick(cloud)
    assert [topic for topic, _ in cloud.bus.take()] == [DATA_UPLOADED]


def dropped(cloud: MemoryCloud, *names: str) -> None:
    """Files that come one after the other, ten seconds apart."""
    for name in names:
        cloud.pass_time(10)
        cloud.data.put(f"data/digits/{name}", b"digit\n3\n")


def recorded(cloud: MemoryCloud, name: str) -> None:
    entry = cloud.data.stat(f"data/digits/{name}")
    assert entry is not None
    ledger(cloud).record(upload_key(MODEL, upload_id("data", entry.key, entry.generation)), Outcome({}))


def announced(cloud: MemoryCloud) -> list[str]:
    """What the next sweep announces; a beat is an hour."""
    cloud.bus.take()
    assert tick(cloud) == 200
    told = [message.attributes["objectId"] for topic, message in cloud.bus.take() if topic == DATA_UPLOADED]
    return [name.removeprefix("data/digits/") for name in told]


def test_a_queue_that_is_being_worked_off_is_not_announced_again(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    dropped(cloud, "a.csv", "b.csv", "c.csv")
    recorded(cloud, "a.csv")
    assert announced(cloud) == []


def test_what_was_overtaken_in_the_queue_is_announced(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    dropped(cloud, "a.csv", "b.csv", "c.csv")
    recorded(cloud, "b.csv")
    assert announced(cloud) == ["a.csv"]


def test_what_nobody_works_off_is_announced_a_beat_after_the_last_record(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    dropped(cloud, "a.csv", "b.csv", "c.csv")
    recorded(cloud, "a.csv")
    assert announced(cloud) == []
    cloud.pass_time(3600)
    assert announced(cloud) == ["b.csv", "c.csv"]


def waiting(rows: int) -> Upload:
    return Upload(UploadId(f"{rows:020d}"), "data", f"data/digits/{rows}.csv", 1, f"{rows:064d}", rows)


def test_two_ticks_say_the_same_under_the_same_ids(cloud: MemoryCloud) -> None:
    tick(cloud)
    tick(cloud)
    assert len(cloud.bus.events()) == 2
    assert len({each.id for each in cloud.bus.events()}) == 1


def test_rows_that_nobody_follows_train_once_they_are_old_enough(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    settings = b'[data]\ntarget = "digit"\n[threshold]\nor_after = "24h"\nor_after_rows = 30\n'
    cloud.data.put("settings/digits.toml", settings)
    carry(ledger(cloud), MODEL, waiting(30), 3)
    cloud.pass_time(24 * 3600 - 1)
    assert [wish for wish in due(cloud) if isinstance(wish, TrainingRequested)] == []
    cloud.pass_time(1)
    (wish,) = [wish for wish in due(cloud) if isinstance(wish, TrainingRequested)]
    assert (wish.window, wish.rows, wish.reason) == (3, 30, "age")
