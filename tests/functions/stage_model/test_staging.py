"""One piece of staging at each call: whatever is repeated, lost, refused or slow, one deployment or the run's end."""

from typing import Any

import pytest

from shared.artefacts import digest
from shared.errors import Refused, Transient
from shared.events import ModelStaged, Notification, RetirementDue
from shared.receipt_keys import rotate
from shared.serving import Machine
from shared.vertex import VersionOrder
from tests.functions.standing_run import event, keys, open_run, published, record, records, topics
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send

FILES = {"evaluation.json": b"{}", "model.onnx": b"onnx"}
PLACE = "digits/digits-000002/1/model/"
DECIDED = {"verdict": "deploy", "artefacts": f"gs://artefacts/{PLACE}", "attempt": 1, "digest": digest(FILES)}
TIMEOUT_SECONDS = 600
LEASE_SECONDS = 60
PIECES = 3  # upload, endpoint, deployment


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    open_run(
        made, serving={"deploy_timeout_seconds": TIMEOUT_SECONDS, "machine_type": "n1-standard-8"},
        evidence={"report_seconds": 5},
    )  # fmt: skip
    record(made, "decision", DECIDED)
    leave_artefacts(made)
    return made


def leave_artefacts(cloud: MemoryCloud) -> None:
    for name, content in FILES.items():
        cloud.artefacts.put(f"{PLACE}{name}", content)


@pytest.fixture
def slow(cloud: MemoryCloud) -> MemoryCloud:
    """The same world, where operations end only when a test says so."""
    cloud.vertex.prompt = False
    return cloud


def stage(cloud: MemoryCloud) -> int:
    return send(cloud, "stage_model", event("deployment-approved"))


def test_where_images_go_by_their_digest_no_other_is_served() -> None:
    cloud = MemoryCloud({"SERIN_IMAGES": "by-digest"})
    open_run(cloud)
    record(cloud, "decision", DECIDED)
    leave_artefacts(cloud)
    assert stage(cloud) == 200
    (reason,) = end(cloud)["reasons"]
    assert "'serin-serving:test' is not named by its digest" in reason
    assert effects(cloud) == []


def test_an_image_that_is_named_by_its_digest_is_served() -> None:
    cloud = MemoryCloud({"SERIN_IMAGES": "by-digest", "SERIN_SERVING_IMAGE": f"serin-serving@sha256:{'a' * 64}"})
    open_run(cloud)
    record(cloud, "decision", DECIDED)
    leave_artefacts(cloud)
    assert stage(cloud) == 200
    assert "vertex.upload" in effects(cloud)


def effects(cloud: MemoryCloud) -> list[str]:
    changing = ("vertex.upload", "vertex.create_endpoint", "vertex.deploy")
    return [effect for effect in cloud.door.effects if effect in changing]


def end(cloud: MemoryCloud) -> Any:
    return data_of(cloud, "runs/digits/000002/end")


def staged_version(cloud: MemoryCloud) -> str:
    endpoint = cloud.vertex.endpoint("serin-digits-staging")
    assert endpoint is not None
    assert endpoint.split == {"2": 100}
    return endpoint.deployed["2"]


def test_a_challenger_is_uploaded_and_deployed_on_staging_with_all_its_traffic(cloud: MemoryCloud) -> None:
    assert stage(cloud) == 200
    (staged,) = published(cloud)
    assert isinstance(staged, ModelStaged)
    assert staged.version == staged_version(cloud)
    assert (staged.endpoint, staged.deployed_model, staged.artefacts) == (
        "serin-digits-staging", "2", DECIDED["artefacts"],
    )  # fmt: skip
    assert records(cloud) == ["decision", "endpoint", "staged", "staging", "upload", "version"]


@pytest.mark.parametrize("name", ["model.onnx", "golden.json"])
def test_artefacts_other_than_those_that_were_approved_are_not_staged(cloud: MemoryCloud, name: str) -> None:
    cloud.artefacts.put(f"{PLACE}{name}", b"changed or added afterwards")
    assert stage(cloud) == 200
    assert effects(cloud) == []
    assert end(cloud)["outcome"] == "failed"
    assert "approved were" in end(cloud)["reasons"][0]


def test_the_serving_container_is_told_what_it_has_to_know(cloud: MemoryCloud) -> None:
    stage(cloud)
    (order,) = cloud.vertex.uploads
    assert (order.model, order.image, order.artefacts) == ("digits", "serin-serving:test", DECIDED["artefacts"])
    assert order.labels == {"serin-model": "digits", "serin-run": "digits-000002", "serin-attempt": "1"}
    assert order.variables == {
        "GOOGLE_CLOUD_PROJECT": "p",
        "SERIN_MODEL": "digits",
        "SERIN_RUN": "digits-000002",
        "SERIN_REPORT_SECONDS": "5",
        "SERIN_RECEIPT_KEY_URI": "gs://state/keys/receipts/1",
    }


def test_the_receipt_key_is_made_once_and_never_said(cloud: MemoryCloud, capfd: pytest.CaptureFixture[str]) -> None:
    stage(cloud)
    key = cloud.state.read("keys/receipts/1")
    assert key is not None
    assert len(bytes.fromhex(key.decode())) == 32
    send(cloud, "stage_model", event("deployment-approved"))
    assert cloud.state.read("keys/receipts/1") == key
    elsewhere = [cloud.state.read(name) or b"" for name in keys(cloud) if name != "keys/receipts/1"]
    elsewhere += [message.data for _, message in cloud.bus.take()]
    written = capfd.readouterr()
    assert key not in b"".join([*elsewhere, written.out.encode(), written.err.encode()])


def test_a_key_that_stands_is_left_as_it_is(cloud: MemoryCloud) -> None:
    cloud.state.put("keys/receipts/1", b"aa" * 32)
    stage(cloud)
    assert cloud.state.read("keys/receipts/1") == b"aa" * 32


@pytest.mark.parametrize(("days", "signs"), [(89, "1"), (91, "2")])
def test_a_key_signs_for_ninety_days(cloud: MemoryCloud, days: int, signs: str) -> None:
    cloud.state.put("keys/receipts/1", b"aa" * 32)
    cloud.pass_time(days * 24 * 3600)
    stage(cloud)
    (order,) = cloud.vertex.uploads
    assert order.variables["SERIN_RECEIPT_KEY_URI"] == f"gs://state/keys/receipts/{signs}"
    assert cloud.state.read(f"keys/receipts/{signs}") is not None


def test_what_is_staged_after_a_person_changed_the_key_signs_with_the_new_one(cloud: MemoryCloud) -> None:
    cloud.state.put("keys/receipts/1", b"aa" * 32)
    assert [rotate(cloud.state) for _ in range(9)][-1] == "keys/receipts/10"
    stage(cloud)
    (order,) = cloud.vertex.uploads
    assert order.variables["SERIN_RECEIPT_KEY_URI"] == "gs://state/keys/receipts/10"
    assert cloud.state.read("keys/receipts/1") == b"aa" * 32


def test_operations_are_started_once_and_left(slow: MemoryCloud) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    for _ in range(PIECES):
        assert stage(slow) == 200
        assert stage(slow) == 200
        seen.append((effects(slow), records(slow)))
        assert published(slow) == []
        slow.vertex.finish()
    assert seen == [
        (["vertex.upload"], ["decision", "upload"]),
        (["vertex.upload", "vertex.create_endpoint"], ["decision", "endpoint", "upload", "version"]),
        (
            ["vertex.upload", "vertex.create_endpoint", "vertex.deploy"],
            ["decision", "endpoint", "staging", "upload", "version"],
        ),
    ]
    assert stage(slow) == 200
    assert topics(slow) == ["model-staged"]


def test_a_redelivery_after_staging_says_the_same_again_and_touches_nothing(cloud: MemoryCloud) -> None:
    stage(cloud)
    first, done = cloud.bus.take(), effects(cloud)
    assert stage(cloud) == 200
    assert (cloud.bus.take(), effects(cloud)) == (first, done)


def test_after_staging_was_cleared_away_a_redelivery_deploys_nothing(cloud: MemoryCloud) -> None:
    stage(cloud)
    first, done = cloud.bus.take(), effects(cloud)
    cloud.vertex.undeploy("serin-digits-staging", "2")
    assert stage(cloud) == 200
    assert (cloud.bus.take(), effects(cloud)) == (first, done)


def test_a_version_that_shows_before_its_upload_has_ended_is_not_used_yet(cloud: MemoryCloud) -> None:
    cloud.vertex.upload(VersionOrder("digits", "i", "a", {"serin-run": "digits-000002"}, {}))
    cloud.vertex.prompt = False
    record(cloud, "upload", {"operation": cloud.vertex.create_endpoint("elsewhere").name})
    assert stage(cloud) == 200
    assert records(cloud) == ["decision", "upload"]
    cloud.vertex.finish()
    assert stage(cloud) == 200
    assert "version" in records(cloud)


def test_an_endpoint_that_somebody_else_makes_meanwhile_is_used(cloud: MemoryCloud) -> None:
    cloud.door.meanwhile["vertex.create_endpoint"] = lambda: _made(cloud)
    assert stage(cloud) == 200
    assert topics(cloud) == ["model-staged"]


def test_an_endpoint_that_an_earlier_run_still_uses_is_used_as_well(cloud: MemoryCloud) -> None:
    cloud.vertex.create_endpoint("serin-digits-staging")
    cloud.vertex.deploy("serin-digits-staging", "1", "projects/p/locations/l/models/digits@1", Machine("m"), {"0": 100})
    assert stage(cloud) == 200
    staged_version(cloud)
    endpoint = cloud.vertex.endpoint("serin-digits-staging")
    assert endpoint is not None
    assert set(endpoint.deployed) == {"1", "2"}


def test_on_cloud_run_too_a_challenger_stands_beside_one_that_an_earlier_run_still_uses() -> None:
    cloud = MemoryCloud()
    open_run(cloud, serving={"backend": "cloud_run"})
    record(cloud, "decision", DECIDED)
    leave_artefacts(cloud)
    cloud.vertex.upload(VersionOrder("digits", "i", "gs://artefacts/digits/1/", {"serin-run": "digits-000001"}, {}))
    cloud.run_services.deploy(
        "serin-digits-staging", "1", "projects/p/locations/l/models/digits@1", Machine(""), {"0": 100}
    )
    assert stage(cloud) == 200
    assert topics(cloud) == ["model-staged"]
    endpoint = cloud.run_services.endpoint("serin-digits-staging")
    assert endpoint is not None
    assert (set(endpoint.deployed), dict(endpoint.split)) == ({"1", "2"}, {"2": 100})


def test_while_one_delivery_works_another_is_put_off(cloud: MemoryCloud) -> None:
    statuses: list[int] = []
    cloud.door.meanwhile["vertex.upload"] = lambda: statuses.append(stage(cloud))
    assert stage(cloud) == 200
    assert statuses == [500]
    assert (len(cloud.vertex.uploads), effects(cloud).count("vertex.deploy")) == (1, 1)


def test_while_one_delivery_deploys_another_is_put_off(cloud: MemoryCloud) -> None:
    statuses: list[int] = []
    cloud.door.meanwhile["vertex.deploy"] = lambda: statuses.append(stage(cloud))
    assert stage(cloud) == 200
    assert statuses == [500]
    assert effects(cloud).count("vertex.deploy") == 1


def test_an_upload_whose_reply_was_lost_is_adopted(cloud: MemoryCloud) -> None:
    cloud.door.after["vertex.upload"] = Transient("vertex.upload", "timeout")
    assert stage(cloud) == 500
    assert records(cloud) == ["decision"]
    assert stage(cloud) == 200
    assert len(cloud.vertex.uploads) == 1
    staged_version(cloud)


def test_an_upload_that_never_arrived_is_made_again_after_the_lease(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.upload"] = Transient("vertex.upload", "timeout")
    assert stage(cloud) == 500
    cloud.pass_time(LEASE_SECONDS - 1)
    assert stage(cloud) == 500
    assert cloud.vertex.uploads == []
    cloud.pass_time(1)
    assert stage(cloud) == 200
    assert len(cloud.vertex.uploads) == 1


def test_an_upload_that_became_visible_while_the_claim_was_taken_is_not_made_again(slow: MemoryCloud) -> None:
    slow.door.after["vertex.upload"] = Transient("vertex.upload", "timeout")
    assert stage(slow) == 500
    slow.pass_time(LEASE_SECONDS)
    slow.door.meanwhile["storage.create"] = slow.vertex.finish
    assert stage(slow) == 200
    assert len(slow.vertex.uploads) == 1
    assert "version" in records(slow)


def test_of_two_versions_of_the_run_the_oldest_counts(cloud: MemoryCloud) -> None:
    stage(cloud)
    (order,) = cloud.vertex.uploads
    again = MemoryCloud()
    open_run(again)
    leave_artefacts(again)
    record(again, "decision", DECIDED)
    again.vertex.upload(order)
    again.vertex.upload(order)
    assert stage(again) == 200
    assert staged_version(again).endswith("digits@1")
    assert len(again.vertex.uploads) == 2


def test_the_version_of_another_run_is_not_adopted(cloud: MemoryCloud) -> None:
    stage(cloud)
    (order,) = cloud.vertex.uploads
    again = MemoryCloud()
    open_run(again)
    leave_artefacts(again)
    record(again, "decision", DECIDED)
    again.vertex.upload(type(order)(**{**vars(order), "labels": {**order.labels, "serin-run": "digits-000001"}}))
    assert stage(again) == 200
    assert staged_version(again).endswith("digits@2")


def test_a_deployment_whose_reply_was_lost_is_recognised_by_its_id(cloud: MemoryCloud) -> None:
    cloud.door.after["vertex.deploy"] = Transient("vertex.deploy", "timeout")
    assert stage(cloud) == 500
    assert "staged" not in records(cloud)
    assert stage(cloud) == 200
    assert effects(cloud).count("vertex.deploy") == 1
    assert topics(cloud) == ["model-staged"]


@pytest.mark.parametrize("lost", ["vertex.create_endpoint", "storage.create", "storage.read", "pubsub.publish"])
def test_whatever_reply_is_lost_the_redelivery_ends_the_same(cloud: MemoryCloud, lost: str) -> None:
    cloud.door.after[lost] = Transient(lost, "timeout")
    assert stage(cloud) == 500
    published(cloud)
    cloud.pass_time(LEASE_SECONDS)
    assert stage(cloud) == 200
    assert topics(cloud) == ["model-staged"]
    assert (len(cloud.vertex.uploads), effects(cloud).count("vertex.deploy")) == (1, 1)


@pytest.mark.parametrize(
    ("piece", "what"),
    [(0, "the upload"), (1, "the making of the staging endpoint"), (2, "the deployment on staging")],
)
def test_an_operation_that_fails_ends_the_run_with_its_reason(slow: MemoryCloud, piece: int, what: str) -> None:
    for _ in range(piece):
        stage(slow)
        slow.vertex.finish()
    stage(slow)
    slow.vertex.finish(error="Model server exited unexpectedly")
    assert stage(slow) == 200
    reason = f"{what} failed: Model server exited unexpectedly"
    assert (end(slow)["outcome"], end(slow)["reasons"], end(slow)["set_aside"]) == ("failed", [reason], False)
    notice, retired = published(slow)
    assert isinstance(notice, Notification)
    assert isinstance(retired, RetirementDue)
    assert (notice.severity, notice.why, retired.what, retired.target) == ("error", (reason,), "staging", "2")


@pytest.mark.parametrize("piece", range(PIECES))
def test_an_operation_that_takes_too_long_ends_the_run(slow: MemoryCloud, piece: int) -> None:
    for _ in range(piece):
        stage(slow)
        slow.vertex.finish()
    stage(slow)
    slow.pass_time(TIMEOUT_SECONDS - 1)
    stage(slow)
    assert "end" not in records(slow)
    slow.pass_time(1)
    assert stage(slow) == 200
    assert end(slow)["reasons"][0].endswith(f"had not ended after {TIMEOUT_SECONDS} s")


def test_an_operation_that_ended_in_time_counts_however_late_it_is_looked_at(slow: MemoryCloud) -> None:
    for _ in range(PIECES):
        stage(slow)
        slow.vertex.finish()
        slow.pass_time(10 * TIMEOUT_SECONDS)
    assert stage(slow) == 200
    assert "end" not in records(slow)
    assert topics(slow) == ["model-staged"]


def test_an_order_refused_for_now_is_tried_again(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.deploy"] = Refused("vertex.deploy", "status 400: another operation is under way")
    assert stage(cloud) == 500
    cloud.pass_time(LEASE_SECONDS)
    assert stage(cloud) == 200
    assert topics(cloud) == ["model-staged"]


@pytest.mark.parametrize("effect", ["vertex.upload", "vertex.create_endpoint", "vertex.deploy"])
def test_an_order_still_refused_when_its_time_is_over_ends_the_run(cloud: MemoryCloud, effect: str) -> None:
    refusal = Refused(effect, "status 403: no permission")
    cloud.door.before[effect] = refusal
    assert stage(cloud) == 500
    cloud.pass_time(TIMEOUT_SECONDS)
    cloud.door.before[effect] = refusal
    assert stage(cloud) == 200
    assert end(cloud)["reasons"][1] == f"{effect} refused: status 403: no permission"


def test_an_operation_that_was_forgotten_is_judged_by_what_it_brought_about(slow: MemoryCloud) -> None:
    for _ in range(PIECES):
        stage(slow)
        slow.vertex.finish()
    slow.door.before["vertex.get_operation"] = Refused("vertex.get_operation", "status 404: no such operation")
    assert stage(slow) == 200
    assert topics(slow) == ["model-staged"]


def test_once_the_run_has_ended_nothing_more_is_staged(slow: MemoryCloud) -> None:
    stage(slow)
    record(slow, "end", {"outcome": "failed"})
    slow.vertex.finish()
    assert stage(slow) == 200
    assert effects(slow) == ["vertex.upload"]
    assert published(slow) == []


def test_what_nobody_approved_is_not_staged() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "decision", {**DECIDED, "verdict": "ask"})
    assert stage(cloud) == 200
    assert (effects(cloud), records(cloud)) == ([], ["decision"])
    assert topics(cloud) == ["notifications"]


def test_what_a_person_approved_is_staged() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    leave_artefacts(cloud)
    record(cloud, "decision", {**DECIDED, "verdict": "ask"})
    record(cloud, "approval", {"answer": "approve", "by": "ada@example.org", "because": "good"})
    assert stage(cloud) == 200
    assert topics(cloud) == ["model-staged"]


def test_before_there_is_a_decision_staging_is_not_yet() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    assert stage(cloud) == 500
    assert (records(cloud), effects(cloud)) == ([], [])


def _made(cloud: MemoryCloud) -> None:
    cloud.vertex.create_endpoint("serin-digits-staging")
