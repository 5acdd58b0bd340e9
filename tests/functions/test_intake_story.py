"""Intake and launch together: what is dropped is counted once, and training starts when enough rows wait."""

import pytest

from shared.envelope import Message
from shared.errors import Transient
from shared.events import Notification, TrainingRequested
from shared.ids import upload_id
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement, data_of, deliver, drop, settle, tick

SETTINGS = b'[data]\ntarget = "y"\n[threshold]\nat_least = 4\n'
INTAKE = {"check_rows", "check_settings", "launch_training"}


def rows(count: int, start: int = 0) -> bytes:
    return ("a,y\n" + "".join(f'{start + each},"one\nlabel"\n' for each in range(count))).encode()


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    drop(made, "settings/digits.toml", SETTINGS)
    settle(made, INTAKE.__contains__)
    return made


def notices(cloud: MemoryCloud) -> list[str]:
    return [event.payload.title for event in cloud.bus.events() if isinstance(event.payload, Notification)]


def run(cloud: MemoryCloud) -> None:
    settle(cloud, INTAKE.__contains__)


def test_rows_below_the_threshold_are_counted_and_train_nothing(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(3))
    message = cloud.bus.take()[0][1]
    assert deliver(cloud, "check_rows", "data-uploaded", message) == 200
    assert notices(cloud) == ["digits: 3 of 4 rows wait"]
    assert cloud.vertex.orders == []


def test_enough_rows_close_the_window_and_make_one_job(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(3))
    drop(cloud, "data/digits/b.csv", rows(2, start=10))
    run(cloud)
    window = data_of(cloud, "windows/digits/000001")
    assert (window["rows"], len(window["uploads"]), window["champion"]) == (5, 2, None)
    assert [order.labels["serin-run"] for order in cloud.vertex.orders] == ["digits-000001"]
    assert data_of(cloud, "runs/digits/000001/job-1")["job"].endswith("customJobs/1")


def test_every_message_delivered_twice_changes_nothing(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(5))
    for topic, message in cloud.bus.take() * 2:
        deliver(cloud, "check_rows", topic, message)
    requests = [message for topic, message in cloud.bus.take() if topic == "training-requested"]
    for message in requests * 2:
        deliver(cloud, "launch_training", "training-requested", message)
    assert len(requests) == 2
    assert len({message.attributes["ce-id"] for message in requests}) == 1
    assert len(cloud.vertex.orders) == 1
    assert data_of(cloud, "windows/digits/000001")["rows"] == 5


def test_the_same_content_under_another_name_counts_once(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(3))
    generation = drop(cloud, "data/digits/copy.csv", rows(3))
    run(cloud)
    verdict = data_of(cloud, f"uploads/digits/{upload_id('data', 'data/digits/copy.csv', generation)}")
    assert verdict["verdict"] == "duplicate"
    assert cloud.vertex.orders == []


def test_rows_that_come_while_a_run_is_open_wait_for_the_next_window(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(5))
    run(cloud)
    drop(cloud, "data/digits/b.csv", rows(6, start=50))
    run(cloud)
    assert "windows/digits/000002" not in set(cloud.state.keys())
    assert len(cloud.state.entries("pending/digits/000002/")) == 1


def test_a_bad_file_is_rejected_with_every_reason_and_no_row_counts(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(2))
    run(cloud)
    generation = drop(cloud, "data/digits/bad.csv", b"b,y\n1,\n2\n")
    run(cloud)
    verdict = data_of(cloud, f"uploads/digits/{upload_id('data', 'data/digits/bad.csv', generation)}")
    assert verdict["verdict"] == "rejected"
    assert [reason.split(":")[0] for reason in verdict["reasons"]] == [
        "missing-column", "missing-target", "wrong-width", "new-column",
    ]  # fmt: skip
    assert len(cloud.state.entries("pending/digits/000001/")) == 1


def test_an_upload_whose_notification_was_lost_is_announced_again_by_reconcile(cloud: MemoryCloud) -> None:
    cloud.data.put("data/digits/a.csv", rows(5))
    cloud.pass_time(7200)
    assert tick(cloud) == 200
    run(cloud)
    assert len(cloud.vertex.orders) == 1


def test_a_lost_request_is_made_again_by_reconcile(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(5))
    settle(cloud, {"check_rows"}.__contains__)
    assert cloud.vertex.orders == []
    tick(cloud)
    assert [type(event.payload) for event in cloud.bus.events()] == [TrainingRequested]
    run(cloud)
    assert len(cloud.vertex.orders) == 1


def test_a_job_whose_creation_got_no_answer_is_adopted_after_the_lease(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(5))
    cloud.door.after["vertex.create_job"] = Transient("vertex.create_job", "timeout")
    run(cloud)
    assert "runs/digits/000001/job-1" not in set(cloud.state.keys())
    assert [status for *_, status in cloud.refused] == ["launch_training"]
    tick(cloud)
    run(cloud)
    assert "runs/digits/000001/job-1" not in set(cloud.state.keys()), "the claim is still live"
    cloud.pass_time(61)
    tick(cloud)
    run(cloud)
    assert len(cloud.vertex.orders) == 1
    assert data_of(cloud, "runs/digits/000001/job-1")["attempt"] == 1


def test_a_failed_job_is_tried_again_and_then_ends_the_run(cloud: MemoryCloud) -> None:
    drop(cloud, "data/digits/a.csv", rows(5))
    run(cloud)
    for attempt in (1, 2, 3):
        cloud.vertex.end_job(data_of(cloud, f"runs/digits/000001/job-{attempt}")["job"], "FAILED", "exit 1")
        tick(cloud)
        run(cloud)
    end = data_of(cloud, "runs/digits/000001/end")
    assert end["outcome"] == "failed"
    assert len(cloud.vertex.orders) == 3
    assert "exit 1" in end["reasons"][0]


def test_settings_with_problems_name_them_all_and_leave_the_old_in_force(cloud: MemoryCloud) -> None:
    drop(cloud, "settings/digits.toml", b"[data]\n[threshold]\nat_least = 0\nodd = 1\n")
    topic, message = cloud.bus.take()[0]
    assert deliver(cloud, "check_settings", topic, message) == 200
    (event,) = cloud.bus.events()
    assert isinstance(event.payload, Notification)
    assert [reason.split(":")[0] for reason in event.payload.why] == [
        "data.target",
        "threshold.at_least",
        "threshold.odd",
    ]
    drop(cloud, "data/digits/a.csv", rows(5))
    run(cloud)
    assert len(cloud.vertex.orders) == 1


def test_an_object_of_another_bucket_is_refused_and_read_nowhere(cloud: MemoryCloud) -> None:
    attributes = {**announcement("data/digits/a.csv", 1), "bucketId": "somebody-elses"}
    assert deliver(cloud, "check_rows", "data-uploaded", Message(attributes, b"{}")) == 200
    assert notices(cloud) == ["check_rows refused an event: storage notification"]
