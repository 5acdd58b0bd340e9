"""What a rollout still waits for is said again with every tick, and what rollouts have left behind is retired."""

import pytest

from shared.events import (
    RetirementDue,
    RollbackRequested,
    SmokePassed,
    TrafficShifted,
)
from shared.ids import RunId
from shared.ledger import Outcome, rollout_key
from shared.rollouts import staging_endpoint
from shared.serving import Machine
from shared.vertex import VersionOrder
from tests.functions.reconcile.ticking import PLACE, due, heard, known, lost, staged
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    MODEL,
    decide,
    order,
    put,
    under_way,
)
from tests.functions.standing_run import RUN, event, ledger, open_run, published, record
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send, settle, tick


def shifted_rollout(percent: int | None) -> MemoryCloud:
    cloud = known(under_way(percent))
    record(cloud, "end", {"outcome": "live"})
    return cloud


def test_an_order_that_was_lost_is_said_again() -> None:
    cloud = shifted_rollout(None)
    asked_for = order(cloud, 1, 5)
    assert due(cloud) == [asked_for.events[0].payload]


def test_a_share_that_was_seen_is_said_again_for_its_judge() -> None:
    cloud = shifted_rollout(5)
    shifted = TrafficShifted(model=MODEL, run=RUN, rollout=2, step=2, percent=25, split={"2": 25, "1": 75})
    order(cloud, 2, 25)
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    cloud.vertex.set_split(endpoint, {"2": 25, "1": 75})
    put(cloud, "shifted/000002", {"percent": 25, "split": {}}, shifted)
    assert due(cloud) == [shifted]


def test_a_split_that_is_not_the_desired_one_is_ordered_again() -> None:
    cloud = shifted_rollout(5)
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    cloud.vertex.set_split(endpoint, {"2": 40, "1": 60})
    assert [payload.topic for payload in due(cloud)] == ["traffic-requested"]


def test_a_rollback_that_was_decided_is_carried_on() -> None:
    cloud = shifted_rollout(5)
    decide(cloud, "rollback")
    (left,) = due(cloud)
    assert isinstance(left, RollbackRequested)
    assert (left.rollout, left.by) == (2, "ada@example.org")


def test_a_candidate_that_is_still_there_after_its_rollback_is_left_again() -> None:
    cloud = shifted_rollout(5)
    decide(cloud, "rollback")
    put(cloud, "end", {"outcome": "rolled back"})
    assert [payload.topic for payload in due(cloud)] == ["rollback-requested"]
    assert send(cloud, "roll_back", event("rollback-requested")) == 200
    published(cloud)
    assert due(cloud) == []


def test_a_rollback_that_was_never_said_is_said_until_people_have_been_told() -> None:
    cloud = shifted_rollout(5)
    lost(cloud, "roll_back", event("rollback-requested"))
    assert heard(cloud) == ["rolled-back", "notifications", "retirement-due"]
    assert heard(cloud) == []


@pytest.mark.parametrize(("outcome", "left_again"), [("rolled back", 1), ("failed", 0)])
def test_a_rollback_that_left_its_run_without_an_end_is_carried_on(outcome: str, left_again: int) -> None:
    """But for a deployment that failed, whose run `deploy_canary` ends."""
    cloud = known(under_way())
    cloud.vertex.undeploy(ENDPOINT, CANDIDATE.id)
    record(cloud, "decision", {"verdict": "deploy"})
    record(cloud, "staged", {}, staged())
    record(cloud, "smoke", {"passed": True}, SmokePassed(model=MODEL, run=RUN, version="v", artefacts=PLACE))
    decide(cloud, "rollback")
    put(cloud, "end", {"outcome": outcome})
    assert [type(each) for each in due(cloud)] == [SmokePassed] + [RollbackRequested] * left_again
    if left_again:
        assert send(cloud, "roll_back", event("rollback-requested")) == 200
        assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "rolled back"


def test_a_base_that_is_still_there_after_a_promotion_is_retired() -> None:
    cloud = shifted_rollout(100)
    decide(cloud, "promote")
    retired = RetirementDue(model=MODEL, run=RUN, what="base", target=BASE.id)
    put(cloud, "end", {"outcome": "promoted"}, retired)
    assert due(cloud) == [retired]


def test_what_an_earlier_rollout_has_left_deployed_is_retired() -> None:
    cloud = shifted_rollout(5)
    cloud.vertex.deploy(ENDPOINT, "0", BASE.version, Machine("n1"), {})
    left = [payload for payload in due(cloud) if isinstance(payload, RetirementDue)]
    assert left == [RetirementDue(model=MODEL, run=RUN, what="base", target="0")]
    assert send(cloud, "retire_model", event("retirement-due", what="base", target="0")) == 200
    assert not [payload for payload in due(cloud) if isinstance(payload, RetirementDue)]


@pytest.mark.parametrize("now", ["vertex", "cloud_run"])
def test_what_comes_up_late_where_a_model_is_not_served_any_more_is_retired(now: str) -> None:
    """The first model's rollout failed on one backend; the next run is served on the other."""
    cloud, first, then = known(MemoryCloud()), RUN, RunId("digits-000003")
    open_run(cloud, first, serving={"backend": "cloud_run" if now == "vertex" else "vertex"})
    record(cloud, "end", {"outcome": "failed"})
    there = cloud.run_services if now == "vertex" else cloud.vertex
    cloud.vertex.upload(VersionOrder(MODEL, "i", PLACE, {"serin-run": RUN}, {}))
    version = cloud.vertex.versions(MODEL)[0].name
    for endpoint in (ENDPOINT, staging_endpoint(MODEL)):
        there.create_endpoint(endpoint)
        there.deploy(endpoint, "2" if endpoint != ENDPOINT else "1", version, Machine("n1"), {"0": 100})
    open_run(cloud, then, serving={"backend": now})
    for number, run in ((1, first), (2, then)):
        candidate = {"id": str(number), "version": version, "run": run, "artefacts": PLACE}
        opened = {"run": run, "candidate": candidate, "base": None, "steps": [100]}
        ledger(cloud).record(rollout_key(MODEL, number, "opened"), Outcome(opened))
    tick(cloud)
    settle(cloud, lambda function: function == "retire_model")
    for endpoint in (ENDPOINT, staging_endpoint(MODEL)):
        found = there.endpoint(endpoint)
        assert found is None or not found.deployed


def test_what_was_tested_leaves_staging(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    cloud.vertex.create_endpoint(staging_endpoint(MODEL))
    cloud.vertex.deploy(staging_endpoint(MODEL), "2", "v", Machine("n1"), {"0": 100})
    (retired,) = due(cloud)
    assert isinstance(retired, RetirementDue)
    assert (retired.what, retired.target) == ("staging", "2")


def test_a_tag_that_a_person_gave_a_revision_is_no_run(cloud: MemoryCloud) -> None:
    record(cloud, "end", {"outcome": "failed"})
    cloud.vertex.create_endpoint(staging_endpoint(MODEL))
    cloud.vertex.deploy(staging_endpoint(MODEL), "ebug", "v", Machine("n1"), {"0": 100})
    assert due(cloud) == []
