"""Jobs are made, changed and run as Cloud Scheduler's REST API has it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.pubsub import server as pubsub
from local.scheduler import running
from local.scheduler.jobs import created, retry_pauses, shown
from local.scheduler.minutes import Minutes
from tests.local.fuzzing import EXAMPLES, JSON, TOKENS, check_answer
from tests.local.pubsub.clients import SUBSCRIPTION, TOPIC, Clients
from tests.local.scheduler.conftest import PARENT, WAIT_SECONDS, Listener

Job = Callable[..., dict[str, Any]]
NEVER = "0 0 30 2 *"


def ok(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def until(truth: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def test_a_job_publishes_in_each_of_its_minutes(schedule: httpx.Client, listener: Listener, job: Job) -> None:
    made = ok(schedule.post(PARENT, json=job()))
    assert made["state"] == "ENABLED"
    assert made["timeZone"] == "Etc/UTC"
    assert [listener.next() for _ in range(3)] == [("projects/p/topics/t", b"x", {})] * 3


def test_a_job_is_read_as_it_was_made_with_its_next_time(schedule: httpx.Client, job: Job) -> None:
    wanted = job(schedule="0 3 * * mon", timeZone="Europe/Berlin", description="weekly")
    ok(schedule.post(PARENT, json=wanted))
    found = ok(schedule.get(f"{PARENT}/tick"))
    assert {key: found[key] for key in wanted} == wanted
    assert found["scheduleTime"] > found["userUpdateTime"]
    assert [each["name"] for each in ok(schedule.get(PARENT))["jobs"]] == [wanted["name"]]


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        ("* * * * *", "Etc/UTC", "2026-03-27T12:01"),
        ("0 3 * * mon", "Etc/UTC", "2026-03-30T03:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T01:30"),
        ("30 2 * * sun", "Europe/Berlin", "2026-04-05T00:30"),  # on the 29th clocks go from 02:00 to 03:00
        ("0 0 29 2 *", "Etc/UTC", "2028-02-29T00:00"),
        (NEVER, "Etc/UTC", None),
    ],
)
def test_the_next_time_is_that_of_the_jobs_clocks(job: Job, schedule: str, zone: str, expected: str | None) -> None:
    made = created(job(schedule=schedule, timeZone=zone), job()["name"], "")
    now = datetime(2026, 3, 27, 12, 0, 30, tzinfo=UTC).timestamp()
    assert shown(made, Minutes(now), now).get("scheduleTime", "")[:16] == (expected or "")


def test_pauses_double_and_then_grow_evenly(job: Job) -> None:
    retry = {"retryCount": 5, "minBackoffDuration": "1s", "maxBackoffDuration": "7s", "maxDoublings": 1}
    assert retry_pauses(job(retryConfig=retry)) == [1, 2, 4, 6, 7]


def test_jobs_are_listed_page_by_page(schedule: httpx.Client, job: Job) -> None:
    for name in ("a", "b", "c"):
        ok(schedule.post(PARENT, json=job(name, schedule=NEVER)))
    first = ok(schedule.get(PARENT, params={"pageSize": 2}))
    second = ok(schedule.get(PARENT, params={"pageSize": 2, "pageToken": first["nextPageToken"]}))
    assert [each["name"][-1] for each in first["jobs"] + second["jobs"]] == ["a", "b", "c"]
    assert "nextPageToken" not in second


def test_a_job_without_a_name_gets_one(schedule: httpx.Client, job: Job) -> None:
    names = {ok(schedule.post(PARENT, json={**job(schedule=NEVER), "name": ""}))["name"] for _ in range(2)}
    assert len(names) == 2


def test_a_paused_job_waits_until_it_is_resumed(schedule: httpx.Client, listener: Listener, job: Job) -> None:
    ok(schedule.post(PARENT, json=job(schedule=NEVER)))
    assert ok(schedule.post(f"{PARENT}/tick:pause"))["state"] == "PAUSED"
    ok(schedule.patch(f"{PARENT}/tick", params={"updateMask": "schedule"}, json=job()))
    ok(schedule.post(PARENT, json=job("other", pubsubTarget={"topicName": "projects/p/topics/o", "data": "eA=="})))
    assert {listener.next()[0] for _ in range(3)} == {"projects/p/topics/o"}
    assert ok(schedule.post(f"{PARENT}/tick:resume"))["state"] == "ENABLED"
    until(lambda: listener.next()[0] == "projects/p/topics/t")


def test_a_job_runs_at_once_when_asked_to(schedule: httpx.Client, listener: Listener, job: Job) -> None:
    target = {"topicName": "projects/p/topics/t", "attributes": {"colour": "red"}}
    ok(schedule.post(PARENT, json=job(schedule=NEVER, pubsubTarget=target)))
    ok(schedule.post(f"{PARENT}/tick:run"))
    assert listener.next() == ("projects/p/topics/t", b"", {"colour": "red"})
    until(lambda: ok(schedule.get(f"{PARENT}/tick")).get("status") == {})


def test_a_change_is_of_what_its_mask_names(schedule: httpx.Client, job: Job) -> None:
    ok(schedule.post(PARENT, json=job(schedule=NEVER, description="old")))
    wanted = {"schedule": "0 0 1 1 *", "description": "new"}
    changed = ok(schedule.patch(f"{PARENT}/tick", params={"updateMask": "description"}, json=wanted))
    assert (changed["schedule"], changed["description"]) == (NEVER, "new")
    wanted = {"pubsubTarget": {"topicName": "projects/p/topics/ignored", "data": "eQ=="}}
    changed = ok(schedule.patch(f"{PARENT}/tick", params={"updateMask": "pubsub_target.data"}, json=wanted))
    assert changed["pubsubTarget"] == {"topicName": "projects/p/topics/t", "data": "eQ=="}
    refused = schedule.patch(f"{PARENT}/tick", params={"updateMask": "state"}, json=wanted)
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_deleted_job_is_gone(schedule: httpx.Client, job: Job) -> None:
    ok(schedule.post(PARENT, json=job(schedule=NEVER)))
    assert schedule.post(PARENT, json=job()).status_code == 409
    assert ok(schedule.delete(f"{PARENT}/tick")) == {}
    for answer in (schedule.get(f"{PARENT}/tick"), schedule.delete(f"{PARENT}/tick")):
        assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_a_refused_message_is_tried_again_as_often_as_the_job_asks(
    schedule: httpx.Client, listener: Listener, job: Job
) -> None:
    listener.refusals = 2
    retry = {"retryCount": 2, "minBackoffDuration": "0.01s"}
    ok(schedule.post(PARENT, json=job(schedule=NEVER, retryConfig=retry)))
    ok(schedule.post(f"{PARENT}/tick:run"))
    assert listener.next()[1] == b"x"
    listener.refusals = 3
    until(lambda: ok(schedule.get(f"{PARENT}/tick")).get("status") == {})
    ok(schedule.post(f"{PARENT}/tick:run"))
    until(lambda: listener.refusals == 0 and ok(schedule.get(f"{PARENT}/tick"))["status"] != {})
    assert ok(schedule.get(f"{PARENT}/tick"))["status"] == {"code": 14, "message": "NotFound: the topic"}


def test_jobs_are_there_after_a_restart(tmp_path: Path, listener: Listener, job: Job) -> None:
    for expected in (200, 409):
        with running(tmp_path, "nobody", publisher=listener) as server:
            assert httpx.post(f"{server.url}{PARENT}", json=job()).status_code == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schedule": "sometimes"}, 400),
        ({"schedule": 5}, 400),
        ({"timeZone": "Mars/Olympus"}, 400),
        ({"timeZone": "../../etc"}, 400),
        ({"timeZone": "Europe"}, 400),
        ({"name": "projects/p/locations/elsewhere/jobs/tick"}, 400),
        ({"name": "tick"}, 400),
        ({"pubsubTarget": {"topicName": "t", "data": "eA=="}}, 400),
        ({"pubsubTarget": {"topicName": "projects/other/topics/t", "data": "eA=="}}, 400),
        ({"pubsubTarget": {"topicName": "projects/p/topics/t", "data": "not base64"}}, 400),
        ({"pubsubTarget": {"topicName": "projects/p/topics/t"}}, 400),
        ({"pubsubTarget": {"topicName": "projects/p/topics/t", "attributes": {"a": 1}}}, 400),
        ({"retryConfig": {"retryCount": 6}}, 400),
        ({"retryConfig": {"maxDoublings": -1}}, 400),
        ({"retryConfig": {"minBackoffDuration": "soon"}}, 400),
        ({"pubsubTarget": None, "httpTarget": {"uri": "http://127.0.0.1"}}, 501),
    ],
)
def test_a_job_google_refuses_is_refused(schedule: httpx.Client, job: Job, changes: dict[str, Any], code: int) -> None:
    refused = schedule.post(PARENT, json={**job(), **changes})
    assert (refused.status_code, refused.json()["error"]["code"]) == (code, code)
    assert ok(schedule.get(PARENT)) == {"jobs": []}


def test_what_is_not_here_is_unimplemented_and_strangers_are_refused(schedule: httpx.Client) -> None:
    unknown = schedule.get("/v1/projects/p/locations")
    assert (unknown.status_code, unknown.json()["error"]["status"]) == (501, "UNIMPLEMENTED")
    stranger = schedule.get(PARENT, headers={"Host": "evil.example"})
    assert (stranger.status_code, stranger.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert schedule.post(PARENT, content=b"{").json()["error"]["status"] == "INVALID_ARGUMENT"


def test_what_a_job_says_arrives_at_googles_subscriber(tmp_path: Path, job: Job) -> None:
    with pubsub.running(tmp_path / "pubsub") as broker:
        clients = Clients(broker.host)
        clients.publisher.create_topic(name=TOPIC)
        clients.subscribe()
        with running(tmp_path / "scheduler", broker.host, minute_seconds=0.05) as server:
            target = {"topicName": TOPIC, "data": "eA==", "attributes": {"colour": "red"}}
            ok(httpx.post(f"{server.url}{PARENT}", json=job(pubsubTarget=target)))
            heard = clients.pull(SUBSCRIPTION).message
        clients.close()
    assert (heard.data, dict(heard.attributes)) == (b"x", {"colour": "red"})


_FIELDS = """name schedule timeZone pubsubTarget topicName data attributes retryConfig retryCount maxDoublings
description minBackoffDuration state attemptDeadline"""
FIELDS = st.sampled_from(_FIELDS.split())
BODIES = st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON, max_size=3), max_size=3)
MASKS = st.lists(FIELDS | TOKENS, max_size=3).map(".".join)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from(["", "/tick", "/other", "/tick:run", "/tick:pause", "/tick:resume"]),
    changes=BODIES,
    mask=MASKS,
)
def test_no_request_finds_an_internal_error_and_a_right_one_is_still_answered(
    schedule: httpx.Client, job: Job, method: str, path: str, changes: dict[str, Any], mask: str
) -> None:
    schedule.post(PARENT, json=job(schedule=NEVER))
    check_answer(schedule.request(method, f"{PARENT}{path}", json={**job(), **changes}, params={"updateMask": mask}))
    schedule.delete(f"{PARENT}/right")
    assert ok(schedule.post(PARENT, json=job("right", schedule=NEVER)))["schedule"] == NEVER
