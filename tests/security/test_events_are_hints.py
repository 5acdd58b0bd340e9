"""An event is a hint: what it names is looked up again, and what lies outside the configured buckets is not touched."""

import pytest

from shared.envelope import Message
from shared.events import Notification
from shared.foreign import DATA_UPLOADED
from shared.ids import RunId
from tests.functions.standing_rollout import CANDIDATE, deployed_world
from tests.functions.standing_run import event, keys, open_run, published, record
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement, data_of, deliver, send

ELSEWHERE = "gs://somebody-elses/digits/digits-000002/1/model/"
NEXT_DOOR = "gs://artefacts/flowers/flowers-000001/1/model/"
HEARD_OF_OBJECTS = {"check_rows": "data", "check_settings": "settings", "score_batch": "score"}
READS = {"storage.read", "storage.open", "storage.stat", "storage.list"}


@pytest.mark.parametrize(("function", "folder"), HEARD_OF_OBJECTS.items())
def test_an_object_of_another_bucket_is_not_looked_at(function: str, folder: str) -> None:
    cloud = MemoryCloud()
    cloud.data.put(f"{folder}/digits/a.csv", b"a,y\n1,2\n")
    attributes = {**announcement(f"{folder}/digits/a.csv", 1), "bucketId": "somebody-elses"}
    # Whoever read an object of the data bucket would fail.
    cloud.data._door = _closed
    assert deliver(cloud, function, DATA_UPLOADED, Message(attributes, b"{}")) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why == ("the bucket is not this installation's data bucket",)


def _closed(effect: str, _act: object) -> None:
    raise AssertionError(f"{effect} on a bucket that is none of ours")


@pytest.mark.parametrize("place", [ELSEWHERE, NEXT_DOOR, "gs://artefacts/digits/digits-000002/10/model/", "/etc/"])
def test_an_evaluation_of_artefacts_that_the_recorded_job_did_not_write_is_refused(place: str) -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    job = "projects/p/locations/us-central1/customJobs/1701"
    record(cloud, "job-1", {"job": job, "attempt": 1, "output": "gs://artefacts/digits/digits-000002/1"})
    assert send(cloud, "decide_deployment", event("evaluation-completed", artefacts=place)) == 200
    assert not [key for key in keys(cloud) if key.endswith("/decision")]
    assert [payload.topic for payload in published(cloud)] == ["notifications"]


def test_what_is_deployed_is_what_passed_whatever_the_event_names() -> None:
    cloud = deployed_world(split={})
    passed = event("smoke-passed", version=CANDIDATE.version)
    record(cloud, "smoke", {"passed": True}, passed.payload)
    forged = event("smoke-passed", version="projects/p/locations/l/models/flowers@9", artefacts=ELSEWHERE)
    assert send(cloud, "deploy_canary", forged) == 200
    assert data_of(cloud, "rollouts/digits/000001/opened")["candidate"]["version"] == CANDIDATE.version
    endpoint = cloud.vertex.endpoint("serin-digits")
    assert endpoint is not None
    assert set(endpoint.deployed.values()) == {CANDIDATE.version}


def test_what_has_failed_its_smoke_test_is_not_deployed_because_somebody_says_that_it_passed() -> None:
    cloud = deployed_world(split={})
    record(cloud, "smoke", {"passed": False})
    assert send(cloud, "deploy_canary", event("smoke-passed")) == 200
    assert not [key for key in keys(cloud) if key.startswith("rollouts/")]


def test_what_nobody_has_tested_waits() -> None:
    cloud = deployed_world(split={})
    assert send(cloud, "deploy_canary", event("smoke-passed")) == 500
    assert not [key for key in keys(cloud) if key.startswith("rollouts/")]


def test_what_nobody_has_approved_is_not_staged_because_somebody_says_that_it_was() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "decision", {"verdict": "reject", "artefacts": NEXT_DOOR, "digest": "0", "attempt": 1})
    assert send(cloud, "stage_model", event("deployment-approved")) == 200
    assert (cloud.vertex.uploads, cloud.vertex.versions("digits")) == ([], [])


def test_what_is_smoke_tested_is_what_was_staged_whatever_the_event_names() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    forged = event("model-staged", artefacts=ELSEWHERE, endpoint="projects/p/locations/l/endpoints/other")
    assert send(cloud, "smoke_test", forged) == 500
    assert "vertex.predict" not in cloud.door.effects


@pytest.mark.parametrize("topic", ["evaluation-completed", "smoke-passed", "deployment-approved", "model-staged"])
def test_an_event_about_a_run_that_never_was_does_nothing(topic: str) -> None:
    heard_by = {"evaluation-completed": "decide_deployment", "smoke-passed": "deploy_canary"}
    function = heard_by.get(topic) or {"deployment-approved": "stage_model", "model-staged": "smoke_test"}[topic]
    cloud = MemoryCloud()
    assert send(cloud, function, event(topic, run=RunId("digits-000099"))) == 500
    assert set(cloud.door.effects) <= READS | {"vertex.list_versions"}
    assert (keys(cloud), cloud.bus.history) == ([], [])
