"""A rollout on Cloud Run: the same functions, the same promises, although an order is carried out later."""

from typing import Any

import pytest

from shared.backends import moved
from shared.errors import Conflict, Refused
from shared.ledger import Outcome, rollout_key, run_key
from shared.logs import Log
from shared.rollouts import staging_endpoint
from shared.serving import Endpoint, Machine
from shared.settings import settings_of
from shared.step import Step
from shared.vertex import VersionOrder
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    MODEL,
    ROLLOUT,
    decide,
    opened,
    order,
    put,
    stands,
)
from tests.functions.standing_run import RUN, event, ledger, open_run, record
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send, settle, tick

STAGING = staging_endpoint(MODEL)
SERVING: dict[str, Any] = {"serving": {"backend": "cloud_run"}, "rollout": {"bake_seconds": 3600}}


@pytest.fixture
def cloud() -> MemoryCloud:
    """The second rollout is open, its candidate deployed dark and its first step ordered."""
    cloud = MemoryCloud()
    for run in (RUN, BASE.run):
        open_run(cloud, run, **SERVING)
    for arm in (BASE, CANDIDATE):
        cloud.vertex.upload(VersionOrder(MODEL, "serin-serving:test", arm.artefacts, {"serin-run": arm.run}, {}))
        cloud.run_services.deploy(ENDPOINT, arm.id, arm.version, Machine(""), {})
    put(cloud, "opened", opened(BASE))
    ledger(cloud).record(run_key(RUN, "rollout"), Outcome({"rollout": ROLLOUT}))
    order(cloud, 1, 5)
    cloud.door.effects.clear()
    return cloud


def now(cloud: MemoryCloud) -> Endpoint:
    endpoint = cloud.run_services.endpoint(ENDPOINT)
    assert endpoint is not None
    return endpoint


def shift(cloud: MemoryCloud) -> int:
    return send(cloud, "shift_traffic", event("traffic-requested"))


def leave(cloud: MemoryCloud, **changes: Any) -> int:
    return send(cloud, "roll_back", event("rollback-requested", **changes))


def deploy(cloud: MemoryCloud) -> int:
    return send(cloud, "deploy_canary", event("smoke-passed"))


def retire(cloud: MemoryCloud, **changes: Any) -> int:
    return send(cloud, "retire_model", event("retirement-due", **changes))


def test_the_first_model_has_everything_the_next_begins_dark(cloud: MemoryCloud) -> None:
    assert (dict(now(cloud).split), set(now(cloud).deployed)) == ({"1": 100}, {"1", "2"})


def test_a_step_is_one_write_under_an_etag_seen_and_recorded(cloud: MemoryCloud) -> None:
    assert shift(cloud) == 200
    assert dict(now(cloud).split) == {"2": 5, "1": 95}
    assert stands(cloud, "shifted/000001")
    assert cloud.door.effects.count("run.set_split") == 1
    assert shift(cloud) == 200
    assert cloud.door.effects.count("run.set_split") == 1


def test_an_order_that_is_not_carried_out_yet_is_not_recorded_as_seen(cloud: MemoryCloud) -> None:
    cloud.services.prompt = False
    assert shift(cloud) != 200
    assert not stands(cloud, "shifted/000001")
    assert dict(now(cloud).split) == {"1": 100, "2": 5}  # who has or is to have traffic, which does not add up
    cloud.services.finish()
    assert shift(cloud) == 200
    assert stands(cloud, "shifted/000001")


def test_a_rollback_sees_traffic_that_was_ordered_and_not_carried_out_yet(cloud: MemoryCloud) -> None:
    cloud.services.prompt = False
    shift(cloud)
    cloud.services.prompt = True
    assert leave(cloud) == 200
    assert (dict(now(cloud).split), set(now(cloud).deployed)) == ({"1": 100}, {"1"})
    assert stands(cloud, "end")


def test_a_shift_that_slept_across_a_whole_rollback_is_refused_its_write(cloud: MemoryCloud) -> None:
    cloud.door.meanwhile["run.set_split"] = lambda: leave(cloud) and None
    assert shift(cloud) == 200
    assert dict(now(cloud).split) == {"1": 100}
    assert not stands(cloud, "shifted/000001")


def test_a_rollback_takes_the_candidate_away_and_no_shift_brings_it_back(cloud: MemoryCloud) -> None:
    shift(cloud)
    assert leave(cloud) == 200
    assert (dict(now(cloud).split), set(now(cloud).deployed)) == ({"1": 100}, {"1"})
    assert shift(cloud) == 200
    assert dict(now(cloud).split) == {"1": 100}
    with pytest.raises(Refused, match="not deployed"):
        cloud.run_services.set_split(now(cloud), {"2": 5, "1": 95})


def test_instances_are_kept_up_while_a_canary_is_watched_and_never_else(cloud: MemoryCloud) -> None:
    shift(cloud)
    leave(cloud)
    kept = [write["scaling"]["min_instance_count"] for write in cloud.services.writes]
    assert kept == [0, 2, 2, 2, 0]  # first model, canary dark, at 5 %, at 0 %, gone


def test_a_promoted_rollout_is_left_by_deploying_the_version_before_from_the_registry(cloud: MemoryCloud) -> None:
    cloud.run_services.set_split(now(cloud), {"2": 100})
    order(cloud, 2, 100)
    put(cloud, "shifted/000002", {"percent": 100, "split": {"2": 100}})
    put(cloud, "verdict", {"decision": "promote", "by": "monitor_canary", "because": "it is better"})
    put(cloud, "end", {"outcome": "promoted"})
    cloud.run_services.undeploy(ENDPOINT, BASE.id)
    for _ in range(4):
        leave(cloud)
    assert dict(now(cloud).split)["2"] == 100
    assert now(cloud).deployed["3"] == BASE.version


def test_a_rollout_that_was_left_while_its_candidate_was_deployed_is_taken_back(cloud: MemoryCloud) -> None:
    cloud.state.delete(rollout_key(MODEL, ROLLOUT, "steps/000001"))
    decide(cloud, "rollback")
    assert deploy(cloud) == 200
    assert (dict(now(cloud).split), set(now(cloud).deployed)) == ({"1": 100}, {"1"})
    assert not stands(cloud, "steps/000001")


@pytest.fixture
def given_up() -> MemoryCloud:
    """The first model of all came up after the time for its deployment was over, and has everything."""
    cloud = MemoryCloud()
    open_run(cloud, RUN, **SERVING)
    cloud.vertex.upload(VersionOrder(MODEL, "serin-serving:test", BASE.artefacts, {"serin-run": RUN}, {}))
    record(cloud, "smoke", {"passed": True}, event("smoke-passed", version=BASE.version).payload)
    cloud.services.prompt = False
    assert deploy(cloud) == 200
    cloud.pass_time(3601)
    assert deploy(cloud) == 200
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "failed"
    cloud.services.finish()
    assert dict(now(cloud).split) == {"1": 100}
    return cloud


def test_a_first_model_that_came_up_after_it_was_given_up_goes_with_its_service(given_up: MemoryCloud) -> None:
    assert leave(given_up, rollout=1) == 200
    assert given_up.services.services == {}


def test_it_goes_too_where_the_run_had_not_been_ended_before_a_crash(given_up: MemoryCloud) -> None:
    given_up.state.delete(run_key(RUN, "end"))
    assert deploy(given_up) == 200
    assert given_up.services.services == {}
    assert data_of(given_up, "runs/digits/000002/end")["reasons"] == ["deployment: not done after 3600 s"]


def test_a_canary_that_never_gets_ready_leaves_no_instances_behind(cloud: MemoryCloud) -> None:
    cloud.state.delete(rollout_key(MODEL, ROLLOUT, "steps/000001"))
    cloud.run_services.undeploy(ENDPOINT, CANDIDATE.id)
    cloud.services.prompt = False
    assert deploy(cloud) == 200
    cloud.services.finish("Revision 'serin-digits-d2' is not ready and cannot serve traffic.")
    cloud.services.prompt = True
    assert deploy(cloud) == 200
    assert data_of(cloud, run_key(RUN, "end"))["outcome"] == "failed"
    (service,) = cloud.services.services.values()
    assert service.scaling.min_instance_count == 2  # as was ordered with the canary
    assert now(cloud).holds(CANDIDATE.id)
    ledger(cloud).record(f"settings/{MODEL}/00000000000000000001", Outcome({"valid": True, "settings": {}}))
    tick(cloud)
    settle(cloud)
    (service,) = cloud.services.services.values()
    assert service.scaling.min_instance_count == 0
    assert [each.tag for each in service.traffic] == ["d1"]
    tick(cloud)
    assert settle(cloud) == []


def test_a_deployment_that_fails_leaves_nothing_that_a_later_order_would_name(cloud: MemoryCloud) -> None:
    cloud.services.prompt = False
    cloud.run_services.deploy(ENDPOINT, "3", CANDIDATE.version, Machine(""), {})
    with pytest.raises(Conflict):
        cloud.run_services.deploy(ENDPOINT, "4", CANDIDATE.version, Machine(""), {})
    cloud.services.finish("Revision 'serin-digits-d3' is not ready and cannot serve traffic.")
    cloud.services.prompt = True
    assert set(now(cloud).deployed) == {"1", "2"}
    assert shift(cloud) == 200
    assert dict(now(cloud).split) == {"2": 5, "1": 95}


def test_the_base_of_a_promoted_rollout_leaves_the_service_to_its_successor(cloud: MemoryCloud) -> None:
    cloud.run_services.set_split(now(cloud), {"2": 100})
    decide(cloud, "promote")
    put(cloud, "end", {"outcome": "promoted"})
    assert retire(cloud) == 200
    assert (dict(now(cloud).split), set(now(cloud).deployed)) == ({"2": 100}, {"2"})


def staging(cloud: MemoryCloud) -> Endpoint:
    endpoint = cloud.run_services.endpoint(STAGING)
    assert endpoint is not None
    return endpoint


def test_on_staging_the_traffic_goes_to_the_one_that_stays(cloud: MemoryCloud) -> None:
    for name in ("2", "3"):
        cloud.run_services.deploy(STAGING, name, CANDIDATE.version, Machine(""), {"0": 100})
    assert retire(cloud, what="staging", target="3") == 200
    assert (dict(staging(cloud).split), set(staging(cloud).deployed)) == ({"2": 100}, {"2"})


def test_a_tag_of_somebodys_own_is_no_deployed_model(cloud: MemoryCloud) -> None:
    """A person has put `debug` on the revision that answers, to look at it by itself."""
    (service,) = cloud.services.services.values()
    tagged = {"tag": "debug", "revision": service.traffic_statuses[0].revision}
    for entries in (service.traffic, service.traffic_statuses):
        entries.append(tagged)
    assert (set(now(cloud).deployed), now(cloud).failed) == ({BASE.id, CANDIDATE.id}, frozenset())
    assert shift(cloud) == 200
    assert dict(now(cloud).split) == {CANDIDATE.id: 5, BASE.id: 95}


def test_the_last_on_staging_goes_with_its_service(cloud: MemoryCloud) -> None:
    cloud.run_services.deploy(STAGING, "2", CANDIDATE.version, Machine(""), {"0": 100})
    assert retire(cloud, what="staging", target="2") == 200
    assert not any(name.endswith("-staging") for name in cloud.services.services)


def test_a_model_that_is_in_production_is_not_moved_by_its_settings(cloud: MemoryCloud) -> None:
    step = Step("test", cloud, ledger(cloud), Log("test", "p"), None)
    elsewhere = settings_of(step.ledger, RUN).serving.model_copy(update={"backend": "vertex"})
    assert "give it a new name" in str(moved(BASE.run, elsewhere, step))
    assert moved(BASE.run, settings_of(step.ledger, RUN).serving, step) is None
