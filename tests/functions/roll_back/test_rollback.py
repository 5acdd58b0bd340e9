"""Whoever asks, whatever fails: the base answers everything, the candidate is gone, and the record says who and why."""

from typing import Any

import pytest

from shared.errors import Conflict, Refused, Transient
from shared.events import Notification, RetirementDue, RolledBack
from shared.serving import Machine
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    deployed_ids,
    order,
    split_of,
    stands,
    under_way,
)
from tests.functions.standing_run import event, keys, published
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send

END = "rollouts/digits/000002/end"


def leave(cloud: MemoryCloud, **changes: Any) -> int:
    return send(cloud, "roll_back", event("rollback-requested", **changes))


@pytest.mark.parametrize("percent", [None, 5, 25, 100])
def test_at_any_share_the_base_answers_everything_again(percent: int | None) -> None:
    cloud = under_way(percent)
    assert leave(cloud) == 200
    assert split_of(cloud) == {BASE.id: 100}
    assert deployed_ids(cloud) == {BASE.id}
    left, notice, older = published(cloud)
    assert isinstance(left, RolledBack)
    assert isinstance(older, RetirementDue)
    assert (older.what, older.target) == ("versions", "digits")
    assert (left.rollout, left.by, left.because) == (2, "ada@example.org", "customers complain")
    assert isinstance(notice, Notification)
    assert "version 1 answers everything" in notice.title
    assert data_of(cloud, END)["by"] == "ada@example.org"
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "rolled back"


def test_the_verdict_stands_before_anything_is_changed() -> None:
    cloud = under_way(25)
    cloud.door.before["vertex.set_split"] = Transient("vertex.set_split", "status 503")
    assert leave(cloud) == 500
    assert stands(cloud, "verdict")
    assert not stands(cloud, "end")
    assert split_of(cloud) == {"2": 25, "1": 75}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "effect", ["vertex.set_split", "vertex.undeploy", "vertex.get_endpoint", "storage.create", "pubsub.publish"]
)
def test_whatever_fails_once_the_redelivery_ends_the_same(effect: str, when: str) -> None:
    cloud = under_way(25)
    getattr(cloud.door, when)[effect] = Transient(effect, "timeout")
    assert leave(cloud) == 500
    assert leave(cloud) == 200
    assert (split_of(cloud), deployed_ids(cloud)) == ({"1": 100}, {"1"})
    assert stands(cloud, "end")
    assert {each.id for each in cloud.bus.events()} == {f"{END}#{number}" for number in range(3)}


def test_of_two_who_ask_the_first_is_named() -> None:
    cloud = under_way(5)
    leave(cloud)
    assert leave(cloud, by="monitor_canary", because="wrong labels") == 200
    assert {payload.by for payload in published(cloud) if isinstance(payload, RolledBack)} == {"ada@example.org"}


def test_two_at_once_end_in_one_rollback() -> None:
    cloud = under_way(25)
    cloud.door.meanwhile["vertex.set_split"] = lambda: leave(cloud) and None
    leave(cloud)
    assert leave(cloud) == 200
    assert (split_of(cloud), deployed_ids(cloud)) == ({"1": 100}, {"1"})
    assert len({each.id for each in cloud.bus.events()}) == 3


def test_a_deployment_that_came_up_after_the_end_is_taken_away() -> None:
    cloud = under_way(5)
    leave(cloud)
    cloud.vertex.deploy(ENDPOINT, CANDIDATE.id, CANDIDATE.version, Machine("n1"), {})
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    cloud.vertex.set_split(endpoint, {"1": 95, "2": 5})
    assert leave(cloud) == 200
    assert (split_of(cloud), deployed_ids(cloud)) == ({"1": 100}, {"1"})


def test_an_endpoint_that_changes_meanwhile_is_looked_at_again() -> None:
    cloud = under_way(25)
    cloud.door.before["vertex.set_split"] = Conflict("vertex.set_split")
    assert leave(cloud) == 200
    assert split_of(cloud) == {"1": 100}


def test_a_candidate_that_is_gone_already_is_done() -> None:
    cloud = under_way(25)
    cloud.door.before["vertex.undeploy"] = Refused("vertex.undeploy", "status 404: not deployed")
    assert leave(cloud) == 200
    assert stands(cloud, "end")


def test_a_candidate_that_still_has_traffic_is_tried_again() -> None:
    cloud = under_way(25)
    cloud.door.before["vertex.undeploy"] = Refused("vertex.undeploy", "status 400: still has traffic")
    assert leave(cloud) == 500
    assert not stands(cloud, "end")
    assert leave(cloud) == 200
    assert stands(cloud, "end")


def test_a_first_model_has_no_base_to_go_back_to_and_is_left_in_peace() -> None:
    cloud = under_way(100, base=None)
    assert leave(cloud) == 200
    assert split_of(cloud) == {CANDIDATE.id: 100}
    assert not stands(cloud, "verdict")
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why[0] == "there is no version before it"


def test_a_first_model_that_never_had_traffic_is_left() -> None:
    cloud = under_way(base=None)
    assert leave(cloud) == 200
    assert deployed_ids(cloud) == set()
    assert data_of(cloud, END)["outcome"] == "rolled back"
    notice = next(payload for payload in published(cloud) if isinstance(payload, Notification))
    assert notice.title == "digits: rolled back, nobody answers"


def test_a_first_model_that_is_gone_is_left_although_it_had_traffic() -> None:
    cloud = under_way(100, base=None)
    cloud.vertex.undeploy(ENDPOINT, CANDIDATE.id)
    assert leave(cloud, by="shift_traffic", inconclusive=True) == 200
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "inconclusive"


@pytest.mark.parametrize(
    ("effect", "busy"),
    [
        ("vertex.undeploy", Conflict("vertex.undeploy")),
        ("vertex.set_split", Refused("vertex.set_split", "status 400: another operation is running")),
    ],
    ids=["undeploy", "set_split"],
)
def test_an_endpoint_that_is_busy_is_tried_again_and_is_no_bug(effect: str, busy: Exception) -> None:
    cloud = under_way(25)

    def always() -> None:
        cloud.door.meanwhile[effect] = always
        raise busy

    cloud.door.meanwhile[effect] = always
    assert leave(cloud) == 500
    assert keys(cloud, "bugs/") == []
    cloud.door.meanwhile.clear()
    assert leave(cloud) == 200
    assert (split_of(cloud), deployed_ids(cloud)) == ({"1": 100}, {"1"})


def test_a_canary_about_which_too_little_is_known_ends_inconclusive() -> None:
    cloud = under_way(5)
    assert leave(cloud, by="monitor_canary", because="no verdict within 86400 s", inconclusive=True) == 200
    assert data_of(cloud, END)["outcome"] == "inconclusive"
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "inconclusive"
    left, notice, _ = published(cloud)
    assert isinstance(left, RolledBack) and isinstance(notice, Notification)
    assert left.inconclusive
    assert notice.title == "digits: inconclusive, version 1 answers everything"


def test_a_rollout_that_does_not_exist_is_not_yet() -> None:
    cloud = under_way(5)
    order(cloud, 2, 25)
    assert leave(cloud, rollout=7) == 500
