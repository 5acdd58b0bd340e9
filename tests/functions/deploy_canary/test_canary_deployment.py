"""A rollout begins once: numbered, deployed dark under its own number, its first step ordered."""

from typing import Any

import pytest

from shared.errors import Conflict, Refused, Transient
from shared.events import ModelPromoted, Notification, RetirementDue, TrafficRequested
from shared.ids import RunId
from shared.ledger import Outcome, rollout_key, rollouts_prefix
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    MODEL,
    ROLLOUT,
    decide,
    deployed_ids,
    deployed_world,
    split_of,
    stands,
    under_way,
)
from tests.functions.standing_run import RUN, event, keys, ledger, open_run, published, record
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send

LEASE_SECONDS = 60


def smoke_passed(cloud: MemoryCloud) -> int:
    return send(cloud, "deploy_canary", event("smoke-passed", version=CANDIDATE.version))


def has_passed(cloud: MemoryCloud, run: RunId = RUN, version: str = CANDIDATE.version) -> None:
    """The run's smoke test, as the ledger holds it."""
    record(cloud, "smoke", {"passed": True}, event("smoke-passed", version=version, run=run).payload, run=run)
    cloud.door.effects.clear()


def world_with_champion() -> MemoryCloud:
    """The first rollout is over, its model in production."""
    cloud = deployed_world(BASE, split={BASE.id: 100})
    has_passed(cloud)
    opened = {"run": BASE.run, "candidate": BASE.to_json(), "base": None, "steps": [100]}
    for name, data in {
        "opened": opened,
        "steps/000001": {"percent": 100},
        "shifted/000001": {"percent": 100, "split": {"1": 100}},
        "verdict": {"decision": "promote", "by": "x", "because": "x"},
        "end": {"outcome": "promoted", "by": "x", "because": "x"},
    }.items():
        first(cloud, name, data)
    return cloud


def first(cloud: MemoryCloud, name: str, data: dict[str, Any]) -> None:
    ledger(cloud).record(rollout_key(MODEL, 1, name), Outcome(data))


def test_a_candidate_is_deployed_dark_and_then_its_first_step_is_ordered() -> None:
    cloud = world_with_champion()
    assert smoke_passed(cloud) == 200
    assert deployed_ids(cloud) == {"1", "2"}
    assert split_of(cloud) == {"1": 100}
    assert smoke_passed(cloud) == 200
    (asked,) = published(cloud)
    assert isinstance(asked, TrafficRequested)
    assert (asked.rollout, asked.step, asked.percent) == (2, 1, 5)
    assert data_of(cloud, "rollouts/digits/000002/opened")["base"] == BASE.to_json()


def test_the_first_model_of_all_goes_straight_to_100_percent() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    has_passed(cloud)
    for _ in range(3):
        assert smoke_passed(cloud) == 200
    (asked,) = published(cloud)
    assert isinstance(asked, TrafficRequested)
    assert (asked.rollout, asked.percent) == (1, 100)


def test_two_deliveries_at_once_open_one_rollout() -> None:
    cloud = world_with_champion()
    cloud.door.meanwhile["storage.list"] = lambda: cloud.door.meanwhile.update(
        {"storage.list": lambda: smoke_passed(cloud)}  # type: ignore[dict-item, return-value]
    )
    smoke_passed(cloud)
    for _ in range(2):
        smoke_passed(cloud)
    numbers = {key.removeprefix(rollouts_prefix(MODEL)).split("/")[0] for key in keys(cloud, rollouts_prefix(MODEL))}
    assert numbers == {"000001", "000002"}
    assert cloud.door.effects.count("vertex.deploy") == 1


@pytest.mark.parametrize("effect", ["vertex.deploy", "storage.create", "vertex.get_endpoint", "pubsub.publish"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_fails_once_one_deployment_and_one_first_step_come_of_it(effect: str, when: str) -> None:
    cloud = world_with_champion()
    getattr(cloud.door, when)[effect] = Transient(effect, "status 503")
    for _ in range(6):
        smoke_passed(cloud)
        cloud.pass_time(LEASE_SECONDS)
    assert deployed_ids(cloud) == {"1", "2"}
    assert cloud.bus.events()
    assert {each.id for each in cloud.bus.events()} == {"rollouts/digits/000002/steps/000001#0"}


def test_the_next_rollout_ends_the_bake_of_the_one_before() -> None:
    cloud = under_way(percent=100)
    later = event("smoke-passed", version="models/digits@3", run=RunId("digits-000003"))
    open_run(cloud, RunId("digits-000003"))
    has_passed(cloud, RunId("digits-000003"), "models/digits@3")
    assert send(cloud, "deploy_canary", later) == 200
    assert stands(cloud, "verdict") and stands(cloud, "end")
    assert data_of(cloud, "rollouts/digits/000003/opened")["base"]["id"] == CANDIDATE.id


@pytest.mark.parametrize("lost", ["a message", "the last word of a run that has ended since"])
def test_how_the_next_rollout_ended_the_one_before_is_said_whoever_dies(lost: str) -> None:
    cloud = under_way(percent=100)
    later = event("smoke-passed", version="models/digits@3", run=RunId("digits-000003"))
    open_run(cloud, RunId("digits-000003"))
    has_passed(cloud, RunId("digits-000003"), "models/digits@3")
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "gone")
    assert send(cloud, "deploy_canary", later) == 500
    assert published(cloud) == []
    if lost != "a message":
        record(cloud, "end", {"outcome": "rolled back"}, run=RunId("digits-000003"))
    assert send(cloud, "deploy_canary", later) == 200
    told = [payload for payload in published(cloud) if isinstance(payload, ModelPromoted | RetirementDue)]
    assert [payload.topic for payload in told] == ["model-promoted", "retirement-due", "retirement-due"]
    assert {payload.run for payload in told} == {CANDIDATE.run}


def test_how_the_next_rollout_ended_the_one_before_is_said_although_its_own_deployment_must_wait() -> None:
    cloud = under_way(percent=100)
    later = event("smoke-passed", version="models/digits@3", run=RunId("digits-000003"))
    open_run(cloud, RunId("digits-000003"))
    has_passed(cloud, RunId("digits-000003"), "models/digits@3")
    always(cloud, "vertex.deploy", Transient("vertex.deploy", "status 429"))
    assert send(cloud, "deploy_canary", later) == 200
    assert [payload.topic for payload in published(cloud)] == ["model-promoted", "retirement-due", "retirement-due"]


def test_while_another_rollout_is_watched_the_next_one_waits() -> None:
    cloud = under_way(percent=25)
    open_run(cloud, RunId("digits-000003"))
    assert send(cloud, "deploy_canary", event("smoke-passed", run=RunId("digits-000003"))) == 500
    assert not any(isinstance(payload, ModelPromoted) for payload in published(cloud))
    assert keys(cloud, "rollouts/digits/000003") == []


def test_a_rollout_that_was_left_meanwhile_is_taken_back() -> None:
    cloud = under_way()
    decide(cloud, "rollback")
    assert smoke_passed(cloud) == 200
    assert deployed_ids(cloud) == {"1"}
    assert not stands(cloud, "steps/000001")
    assert published(cloud) == []


def test_a_deployment_that_fails_ends_the_run_with_its_reason() -> None:
    cloud = world_with_champion()
    cloud.vertex.prompt = False
    assert smoke_passed(cloud) == 200
    cloud.vertex.finish(error="no machines of this type")
    assert smoke_passed(cloud) == 200
    end = data_of(cloud, "runs/digits/000002/end")
    assert (end["outcome"], end["reasons"]) == ("failed", ["deployment: no machines of this type"])
    assert data_of(cloud, f"rollouts/digits/{ROLLOUT:06d}/verdict")["decision"] == "rollback"
    assert split_of(cloud) == {"1": 100}


def test_a_crash_between_the_end_of_the_rollout_and_that_of_the_run_is_made_good_by_the_redelivery() -> None:
    cloud = world_with_champion()
    cloud.vertex.prompt = False
    smoke_passed(cloud)
    cloud.vertex.finish(error="no machines of this type")
    smoke_passed(cloud)
    told = published(cloud)
    assert [smoke_passed(cloud), published(cloud)] == [200, told]  # whose publishing may have failed
    cloud.state.delete("runs/digits/000002/end")
    assert [smoke_passed(cloud), published(cloud)] == [200, told]
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "failed"


@pytest.mark.parametrize("next_one", ["deploy_canary", "roll_back"])
def test_a_crash_between_the_verdict_and_the_end_is_made_good_by_whoever_comes_next(next_one: str) -> None:
    cloud = world_with_champion()
    cloud.vertex.prompt = False
    smoke_passed(cloud)
    cloud.vertex.finish(error="no machines of this type")
    smoke_passed(cloud)
    cloud.state.delete("runs/digits/000002/end")
    cloud.state.delete("rollouts/digits/000002/end")
    published(cloud)
    named = {"rollback-requested": {"rollout": 2}, "smoke-passed": {"version": CANDIDATE.version}}
    topic = "smoke-passed" if next_one == "deploy_canary" else "rollback-requested"
    assert send(cloud, next_one, event(topic, **named[topic])) == 200
    for key in ("runs/digits/000002/end", "rollouts/digits/000002/end"):
        assert data_of(cloud, key)["outcome"] == "failed"
    notice = next(payload for payload in published(cloud) if isinstance(payload, Notification))
    assert "deployment: no machines of this type" in notice.why[0]


def test_a_deployment_that_takes_too_long_is_given_up() -> None:
    cloud = world_with_champion()
    cloud.vertex.prompt = False
    smoke_passed(cloud)
    cloud.pass_time(3601)
    assert smoke_passed(cloud) == 200
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "failed"


def always(cloud: MemoryCloud, effect: str, error: Exception) -> None:
    """From now on the effect fails each time."""

    def fail() -> None:
        cloud.door.meanwhile[effect] = fail
        raise error

    cloud.door.meanwhile[effect] = fail


BUSY = (Transient("it", "status 429"), Refused("it", "status 400: other operations are running"), Conflict("it"))


@pytest.mark.parametrize("busy", BUSY, ids=["429", "400", "409"])
def test_a_deployment_that_is_refused_for_now_is_tried_again_until_its_time_is_over(busy: Exception) -> None:
    cloud = world_with_champion()
    always(cloud, "vertex.deploy", busy)
    for _ in range(2):
        assert smoke_passed(cloud) == 500
        cloud.pass_time(1740)
    assert not stands(cloud, "end")
    cloud.pass_time(200)
    assert smoke_passed(cloud) == 200
    (reason,) = data_of(cloud, "runs/digits/000002/end")["reasons"]
    assert reason.startswith("deployment: not done after 3600 s: ")
    assert data_of(cloud, "rollouts/digits/000002/end")["outcome"] == "failed"


@pytest.mark.parametrize("busy", BUSY, ids=["429", "400", "409"])
def test_a_deployment_that_was_refused_once_comes_about(busy: Exception) -> None:
    cloud = world_with_champion()
    cloud.door.before["vertex.deploy"] = busy
    assert smoke_passed(cloud) == 500
    cloud.pass_time(LEASE_SECONDS + 1)
    assert smoke_passed(cloud) == 200
    assert deployed_ids(cloud) == {"1", "2"}


@pytest.mark.parametrize("busy", [*BUSY, None], ids=["429", "400", "409", "made and never there"])
def test_an_endpoint_that_never_comes_about_ends_the_run(busy: Exception | None) -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    has_passed(cloud)
    cloud.vertex.prompt = False
    if busy is not None:
        always(cloud, "vertex.create_endpoint", busy)
    smoke_passed(cloud)
    cloud.pass_time(3599)
    smoke_passed(cloud)
    assert keys(cloud, "rollouts/digits/000001/end") == []
    cloud.pass_time(2)
    assert smoke_passed(cloud) == 200
    (reason,) = data_of(cloud, "runs/digits/000002/end")["reasons"]
    assert reason.startswith("deployment: the endpoint: not done after 3600 s")


def test_a_deployment_whose_operation_is_forgotten_has_its_time_limit_too() -> None:
    cloud = world_with_champion()
    cloud.vertex.prompt = False
    smoke_passed(cloud)
    always(cloud, "vertex.get_operation", Refused("vertex.get_operation", "status 404: no such operation"))
    assert smoke_passed(cloud) == 200
    assert not stands(cloud, "end")
    cloud.pass_time(3601)
    assert smoke_passed(cloud) == 200
    assert data_of(cloud, "runs/digits/000002/end")["reasons"] == ["deployment: not done after 3600 s"]


def test_what_another_function_said_at_the_end_of_a_run_is_not_said_again() -> None:
    cloud = world_with_champion()
    promoted = ModelPromoted(model=MODEL, run=RUN, rollout=ROLLOUT, version=CANDIDATE.version, by="monitor_canary")
    record(cloud, "end", {"outcome": "live", "by": "monitor_canary"}, promoted)
    assert [smoke_passed(cloud), published(cloud)] == [200, []]


def test_a_run_that_has_ended_is_not_deployed() -> None:
    cloud = world_with_champion()
    record(cloud, "end", {"outcome": "failed"})
    assert smoke_passed(cloud) == 200
    assert keys(cloud, "rollouts/digits/000002") == []
