"""What nobody needs goes; what turns out to be needed stays."""

from typing import Any

import pytest

from shared.errors import Refused, Transient
from shared.ids import RunId
from shared.ledger import Outcome, rollout_key
from shared.rollouts import Deployed, staging_endpoint
from shared.serving import Machine
from shared.vertex import VersionOrder
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    MODEL,
    decide,
    deployed_ids,
    opened,
    put,
    split_of,
    under_way,
)
from tests.functions.standing_run import RUN, event, ledger, open_run
from tests.world.cloud import MemoryCloud
from tests.world.running import send

STAGING = staging_endpoint(MODEL)


def retire(cloud: MemoryCloud, **changes: Any) -> int:
    return send(cloud, "retire_model", event("retirement-due", **changes))


def promoted() -> MemoryCloud:
    cloud = under_way(100)
    decide(cloud, "promote")
    put(cloud, "end", {"outcome": "promoted"})
    return cloud


def test_the_base_of_a_promoted_rollout_is_undeployed() -> None:
    cloud = promoted()
    assert retire(cloud) == 200
    assert deployed_ids(cloud) == {CANDIDATE.id}
    assert split_of(cloud) == {CANDIDATE.id: 100}


def test_gone_already_is_done() -> None:
    cloud = promoted()
    assert [retire(cloud), retire(cloud)] == [200, 200]
    assert cloud.door.effects.count("vertex.undeploy") == 1


@pytest.mark.parametrize("percent", [None, 5, 100])
def test_a_base_that_a_rollback_would_go_back_to_stays(percent: int | None) -> None:
    cloud = under_way(percent)
    assert retire(cloud) == 200
    assert BASE.id in deployed_ids(cloud)


def test_what_is_in_production_stays() -> None:
    cloud = promoted()
    assert retire(cloud, target=CANDIDATE.id) == 200
    assert split_of(cloud) == {CANDIDATE.id: 100}


def test_a_reply_that_is_lost_changes_nothing() -> None:
    cloud = promoted()
    cloud.door.after["vertex.undeploy"] = Transient("vertex.undeploy", "timeout")
    assert [retire(cloud), retire(cloud)] == [500, 200]
    assert deployed_ids(cloud) == {CANDIDATE.id}


def test_a_challenger_leaves_staging_although_it_has_the_traffic_there() -> None:
    cloud = under_way()
    cloud.vertex.create_endpoint(STAGING)
    cloud.vertex.deploy(STAGING, "2", CANDIDATE.version, Machine("n1"), {"0": 100})
    assert retire(cloud, what="staging", target="2") == 200
    endpoint = cloud.vertex.endpoint(STAGING)
    assert endpoint is not None
    assert dict(endpoint.deployed) == {}


def test_on_staging_the_traffic_goes_to_the_one_that_stays() -> None:
    cloud = under_way()
    cloud.vertex.create_endpoint(STAGING)
    for name in ("2", "3"):
        cloud.vertex.deploy(STAGING, name, CANDIDATE.version, Machine("n1"), {"0": 100})
    assert retire(cloud, what="staging", target="3") == 200
    endpoint = cloud.vertex.endpoint(STAGING)
    assert endpoint is not None
    assert (set(endpoint.deployed), dict(endpoint.split)) == ({"2"}, {"2": 100})


def test_the_newest_five_versions_are_kept_and_whatever_stands_somewhere() -> None:
    cloud = promoted()
    for _ in range(6):
        cloud.vertex.upload(VersionOrder(MODEL, "i", "gs://a/", {"serin-run": RUN}, {}))
    cloud.vertex.undeploy(ENDPOINT, BASE.id)
    assert retire(cloud, what="versions", target=MODEL) == 200
    assert [version.number for version in cloud.vertex.versions(MODEL)] == ["1", "2", "4", "5", "6", "7", "8"]


def test_the_first_version_of_all_goes_too_once_the_default_one_is_that_in_production() -> None:
    cloud = after_two_promotions()
    assert retire(cloud, what="versions", target=MODEL) == 200
    versions = cloud.vertex.versions(MODEL)
    assert [version.number for version in versions] == ["4", "5", "6", "7", "8"]
    assert [version.number for version in versions if version.default] == ["4"]


def test_a_version_that_somebody_deployed_elsewhere_stays_and_the_others_go() -> None:
    cloud = after_two_promotions()
    cloud.vertex.create_endpoint("somebody-elses")
    cloud.vertex.deploy("somebody-elses", "1", f"{BASE.version[:-1]}2", Machine("n1"), {"0": 100})
    assert retire(cloud, what="versions", target=MODEL) == 200
    assert [version.number for version in cloud.vertex.versions(MODEL)] == ["2", "4", "5", "6", "7", "8"]


def test_the_version_before_the_one_in_production_stays_however_many_were_left_since() -> None:
    cloud = after_two_promotions()
    left = Deployed("4", f"{BASE.version[:-1]}8", RUN, "gs://artefacts/digits/8/")
    fourth = Deployed("3", f"{BASE.version[:-1]}4", RUN, "gs://artefacts/digits/4/")
    before = Deployed("2", f"{BASE.version[:-1]}2", RUN, "gs://artefacts/digits/2/")
    brought = {**opened(), "candidate": fourth.to_json(), "base": before.to_json()}
    ledger(cloud).store.delete(rollout_key(MODEL, 3, "opened"))  # type: ignore[attr-defined]
    ledger(cloud).record(rollout_key(MODEL, 3, "opened"), Outcome(brought))
    since = {**opened(), "candidate": left.to_json(), "base": fourth.to_json()}
    for name, data in (("opened", since), ("verdict", {"decision": "rollback"}), ("end", {"outcome": "rolled back"})):
        ledger(cloud).record(rollout_key(MODEL, 4, name), Outcome(data))
    assert retire(cloud, what="versions", target=MODEL) == 200
    assert [version.number for version in cloud.vertex.versions(MODEL)] == ["2", "4", "5", "6", "7", "8"]


def test_how_many_versions_are_kept_is_a_setting_of_the_run_in_production_whoever_says_so() -> None:
    cloud = after_two_promotions()
    open_run(cloud, RunId("digits-000001"), serving={"versions_kept": 1})
    assert retire(cloud, what="versions", target=MODEL, run=RunId("digits-000001")) == 200
    assert [version.number for version in cloud.vertex.versions(MODEL)] == ["4", "5", "6", "7", "8"]


def test_a_version_that_cannot_be_deleted_now_keeps_no_other_one() -> None:
    cloud = after_two_promotions()
    cloud.door.before["vertex.delete_version"] = Refused("vertex.delete_version", "status 400: it is being undeployed")
    assert retire(cloud, what="versions", target=MODEL) == 500
    assert [version.number for version in cloud.vertex.versions(MODEL)] == ["1", "4", "5", "6", "7", "8"]
    assert retire(cloud, what="versions", target=MODEL) == 200
    assert [version.number for version in cloud.vertex.versions(MODEL)] == ["4", "5", "6", "7", "8"]


def after_two_promotions() -> MemoryCloud:
    """A model whose fourth version is in production, and nothing else deployed; there are four newer ones."""
    cloud = promoted()
    for _ in range(6):
        cloud.vertex.upload(VersionOrder(MODEL, "i", "gs://a/", {"serin-run": RUN}, {}))
    fourth = Deployed("3", f"{BASE.version[:-1]}4", RUN, "gs://artefacts/digits/4/")
    third = {**opened(), "candidate": fourth.to_json(), "base": fourth.to_json()}
    for name, data in (("opened", third), ("verdict", {"decision": "promote"}), ("end", {"outcome": "promoted"})):
        ledger(cloud).record(rollout_key(MODEL, 3, name), Outcome(data))
    cloud.vertex.deploy(ENDPOINT, "3", fourth.version, Machine("n1"), {"0": 100})
    for each in (BASE.id, CANDIDATE.id):
        cloud.vertex.undeploy(ENDPOINT, each)
    return cloud


def test_a_version_that_stands_nowhere_is_deleted() -> None:
    cloud = promoted()
    cloud.vertex.upload(VersionOrder(MODEL, "i", "gs://a/", {"serin-run": RUN}, {}))
    third = cloud.vertex.versions(MODEL)[-1].name
    assert retire(cloud, what="version", target=third) == 200
    assert [version.name for version in cloud.vertex.versions(MODEL)] == [BASE.version, CANDIDATE.version]


def test_a_version_that_answers_stays_whatever_an_event_says() -> None:
    cloud = promoted()
    assert retire(cloud, what="version", target=CANDIDATE.version) == 200
    assert CANDIDATE.version in [version.name for version in cloud.vertex.versions(MODEL)]


def test_a_version_of_another_model_stays_whatever_an_event_says() -> None:
    cloud = promoted()
    cloud.vertex.upload(VersionOrder("flowers", "i", "gs://a/", {"serin-run": RUN}, {}))
    (theirs,) = cloud.vertex.versions("flowers")
    assert retire(cloud, what="version", target=theirs.name) == 200
    assert cloud.vertex.versions("flowers") == [theirs]
