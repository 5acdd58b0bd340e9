"""A step of the traffic is written whole, seen, recorded; and never after the rollout was left."""

import pytest

from shared.errors import Conflict, Transient
from shared.events import RollbackRequested, TrafficShifted
from shared.rollouts import Deployed
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    decide,
    order,
    put,
    split_of,
    stands,
    under_way,
)
from tests.functions.standing_run import event, published
from tests.world.cloud import MemoryCloud
from tests.world.running import send


@pytest.fixture(params=[True, False], ids=["etags honoured", "etags ignored"])
def dark(request: pytest.FixtureRequest) -> MemoryCloud:
    """A rollout whose first step was ordered, under each answer of Vertex AI to a stale etag."""
    cloud = under_way()
    order(cloud, 1, 5)
    cloud.vertex.honours_etags = request.param
    return cloud


def shift(cloud: MemoryCloud) -> int:
    return send(cloud, "shift_traffic", event("traffic-requested"))


def test_the_whole_split_is_written_seen_and_recorded(dark: MemoryCloud) -> None:
    assert shift(dark) == 200
    assert split_of(dark) == {"2": 5, "1": 95}
    (shifted,) = published(dark)
    assert isinstance(shifted, TrafficShifted)
    assert dict(shifted.split) == {"2": 5, "1": 95}
    assert stands(dark, "shifted/000001")


def test_a_second_delivery_writes_nothing_and_says_the_same(dark: MemoryCloud) -> None:
    shift(dark)
    dark.door.effects.clear()
    assert shift(dark) == 200
    assert "vertex.set_split" not in dark.door.effects
    assert len({each.id for each in dark.bus.events()}) == 1


def test_a_rollout_that_was_left_gets_no_traffic(dark: MemoryCloud) -> None:
    decide(dark, "rollback")
    assert shift(dark) == 200
    assert split_of(dark) == {"1": 100}
    assert published(dark) == []


def test_a_step_that_was_overtaken_is_over(dark: MemoryCloud) -> None:
    order(dark, 2, 25)
    assert shift(dark) == 200
    assert split_of(dark) == {"1": 100}
    assert published(dark) == []


def test_a_rollback_between_the_last_look_and_the_write_is_found_afterwards(dark: MemoryCloud) -> None:
    dark.door.meanwhile["vertex.set_split"] = lambda: decide(dark, "rollback") and None
    assert shift(dark) == 200
    (left,) = published(dark)
    assert isinstance(left, RollbackRequested)
    assert (left.rollout, left.by) == (2, "ada@example.org")
    assert not stands(dark, "shifted/000001")


def test_a_shift_that_slept_across_a_whole_rollback_leaves_the_candidate_without_traffic(dark: MemoryCloud) -> None:
    dark.door.meanwhile["vertex.set_split"] = lambda: send(dark, "roll_back", event("rollback-requested")) and None
    assert shift(dark) == 200
    assert split_of(dark) == {"1": 100}
    assert not stands(dark, "shifted/000001")


def test_an_endpoint_that_changes_meanwhile_is_looked_at_again() -> None:
    cloud = under_way()
    order(cloud, 1, 5)

    def somebody_else() -> None:
        endpoint = cloud.vertex.endpoint(ENDPOINT)
        assert endpoint is not None
        cloud.vertex.set_split(endpoint, {"1": 90, "2": 10})

    cloud.door.meanwhile["vertex.set_split"] = somebody_else
    assert shift(cloud) == 200
    assert split_of(cloud) == {"2": 5, "1": 95}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", ["vertex.set_split", "vertex.get_endpoint", "storage.create", "pubsub.publish"])
def test_whatever_fails_once_the_redelivery_ends_the_same(dark: MemoryCloud, effect: str, when: str) -> None:
    getattr(dark.door, when)[effect] = Transient(effect, "timeout")
    assert shift(dark) == 500
    assert shift(dark) == 200
    assert split_of(dark) == {"2": 5, "1": 95}
    assert stands(dark, "shifted/000001")


def test_an_endpoint_that_never_stands_still_is_tried_again_later(dark: MemoryCloud) -> None:
    def always() -> None:
        dark.door.meanwhile["vertex.set_split"] = always
        raise Conflict("vertex.set_split")

    dark.door.meanwhile["vertex.set_split"] = always
    assert shift(dark) == 500
    assert split_of(dark) == {"1": 100}


def test_a_candidate_that_is_not_deployed_any_more_ends_the_rollout() -> None:
    cloud = under_way()
    order(cloud, 1, 5)
    cloud.vertex.undeploy(ENDPOINT, CANDIDATE.id)
    assert shift(cloud) == 200
    assert split_of(cloud) == {"1": 100}
    (left,) = published(cloud)
    assert isinstance(left, RollbackRequested)
    assert (left.by, left.because, left.inconclusive) == (
        "shift_traffic", "the candidate is not deployed any more", True,
    )  # fmt: skip


def test_a_first_model_that_is_not_deployed_any_more_ends_its_rollout_too() -> None:
    cloud = under_way(base=None)
    order(cloud, 1, 100)
    cloud.vertex.undeploy(ENDPOINT, CANDIDATE.id)
    assert send(cloud, "shift_traffic", event("traffic-requested", percent=100)) == 200
    (left,) = published(cloud)
    assert isinstance(left, RollbackRequested)
    assert left.because == "the candidate is not deployed any more"


@pytest.mark.parametrize("base", [BASE, None], ids=["with a base", "the first model"])
def test_an_endpoint_that_is_not_there_any_more_ends_the_rollout(base: Deployed | None) -> None:
    cloud = under_way(base=base)
    order(cloud, 1, 5)
    del cloud.vertex._endpoints[ENDPOINT]
    assert shift(cloud) == 200
    (left,) = published(cloud)
    assert isinstance(left, RollbackRequested)
    assert (left.because, left.inconclusive) == ("the endpoint is not there any more", True)


def test_a_step_that_could_not_be_taken_within_the_time_limit_ends_the_rollout(dark: MemoryCloud) -> None:
    dark.pass_time(86_401)
    assert shift(dark) == 200
    assert split_of(dark) == {"1": 100}
    (left,) = published(dark)
    assert isinstance(left, RollbackRequested)
    assert left.because == "5 % could not be given within 86400 s"


def test_a_step_that_was_taken_is_mended_however_old_it_is(dark: MemoryCloud) -> None:
    assert shift(dark) == 200
    dark.pass_time(86_401)
    endpoint = dark.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    dark.vertex.set_split(endpoint, {"1": 60, "2": 40})
    assert shift(dark) == 200
    assert split_of(dark) == {"2": 5, "1": 95}


def test_after_the_end_nothing_is_shifted(dark: MemoryCloud) -> None:
    put(dark, "end", {"outcome": "promoted"})
    assert shift(dark) == 200
    assert split_of(dark) == {"1": 100}
