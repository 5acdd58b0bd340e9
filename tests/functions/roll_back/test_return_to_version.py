"""A rollout that was promoted can still be left: the version before comes back from the registry."""

from dataclasses import replace
from typing import Any

import pytest

from shared.errors import Refused, Transient
from shared.events import Notification, RolledBack
from shared.ledger import Outcome, rollout_key
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    MODEL,
    decide,
    deployed_ids,
    put,
    split_of,
    under_way,
)
from tests.functions.standing_run import event, keys, ledger, open_run, record
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send, settle, tick

NEXT = "rollouts/digits/000003/"


def promoted() -> MemoryCloud:
    """Rollout 2 is over and its base has been undeployed."""
    cloud = under_way(100)
    open_run(cloud, BASE.run)
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n')
    ledger(cloud).record("settings/digits/00000000000000000001", Outcome({"valid": True, "settings": {}}))
    decide(cloud, "promote")
    put(cloud, "end", {"outcome": "promoted"})
    for run in (BASE.run, CANDIDATE.run):
        record(cloud, "end", {"outcome": "live", "set_aside": False}, run=run)
    cloud.vertex.undeploy(ENDPOINT, BASE.id)
    return cloud


def leave(cloud: MemoryCloud, request: str = "a request", **changes: Any) -> int:
    return send(cloud, "roll_back", replace(event("rollback-requested", **changes), id=request))


def live_on(cloud: MemoryCloud, ticks: int = 4) -> list[Any]:
    """Lets everything that follows happen; answers what was said."""
    said = []
    for _ in range(ticks):
        said += [envelope.payload for envelope in cloud.bus.events()]
        settle(cloud)
        tick(cloud)
    said += [envelope.payload for _, envelope in _heard(cloud)]
    settle(cloud)
    return said


def _heard(cloud: MemoryCloud) -> list[tuple[str, Any]]:
    from shared.envelope import decode

    return [(topic, decode(message)) for topic, message in cloud.bus.history if "ce-id" in message.attributes]


def test_the_version_before_answers_everything_again_under_a_number_of_its_own() -> None:
    cloud = promoted()
    assert leave(cloud, by="ada@example.org") == 200
    assert split_of(cloud) == {CANDIDATE.id: 100}
    said = live_on(cloud)
    assert split_of(cloud) == {"3": 100}
    assert deployed_ids(cloud) == {"3"}
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None and endpoint.deployed["3"] == BASE.version
    assert data_of(cloud, f"{NEXT}end")["outcome"] == "promoted"
    left = next(payload for payload in said if isinstance(payload, RolledBack))
    assert (left.rollout, left.run, left.by) == (2, CANDIDATE.run, "ada@example.org")
    titles = {payload.title for payload in said if isinstance(payload, Notification)}
    assert "digits: version 1 comes back from the registry" in titles
    assert "digits: rolled back, version 1 of the registry answers everything" in titles


def test_what_is_in_production_answers_until_the_older_version_stands() -> None:
    cloud = promoted()
    cloud.vertex.prompt = False
    assert [leave(cloud), leave(cloud)] == [200, 200]
    assert (split_of(cloud), deployed_ids(cloud)) == ({CANDIDATE.id: 100}, {CANDIDATE.id})
    cloud.vertex.finish()
    cloud.vertex.prompt = True
    live_on(cloud)
    assert split_of(cloud) == {"3": 100}
    assert cloud.door.effects.count("vertex.deploy") == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", ["vertex.deploy", "storage.create", "vertex.get_endpoint", "pubsub.publish"])
def test_whatever_fails_once_the_end_is_the_same(effect: str, when: str) -> None:
    cloud = promoted()
    getattr(cloud.door, when)[effect] = Transient(effect, "timeout")
    assert leave(cloud) == 500
    cloud.pass_time(61)
    assert leave(cloud) == 200
    live_on(cloud, 6)
    assert (split_of(cloud), deployed_ids(cloud)) == ({"3": 100}, {"3"})


def test_of_two_who_ask_one_rollout_comes() -> None:
    cloud = promoted()
    cloud.door.meanwhile["vertex.deploy"] = lambda: leave(cloud, by="bob@example.org") and None
    leave(cloud)
    live_on(cloud)
    assert {key.split("/")[2] for key in keys(cloud, "rollouts/digits/")} == {"000002", "000003"}
    assert leave(cloud) == 200
    assert split_of(cloud) == {"3": 100}


def test_a_version_that_is_not_in_the_registry_any_more_is_told_and_nothing_changes() -> None:
    cloud = promoted()
    cloud.door.before["vertex.deploy"] = Refused("vertex.deploy", "status 404: no such version")
    leave(cloud)
    live_on(cloud)
    assert split_of(cloud) == {CANDIDATE.id: 100}
    assert data_of(cloud, f"{NEXT}end")["outcome"] == "failed"


def test_a_deployment_that_takes_too_long_is_given_up() -> None:
    cloud = promoted()
    cloud.vertex.prompt = False
    leave(cloud)
    cloud.pass_time(3601)
    tick(cloud)
    settle(cloud)
    assert data_of(cloud, f"{NEXT}end")["because"] == "deployment: not done after 3600 s"
    assert split_of(cloud) == {CANDIDATE.id: 100}


def test_a_rollout_that_is_not_in_production_any_more_is_not_left() -> None:
    cloud = promoted()
    leave(cloud)
    live_on(cloud)
    ledger(cloud).record(rollout_key(MODEL, 4, "opened"), Outcome(_later()))
    cloud.bus.take()
    assert leave(cloud, "another request") == 200
    (notice,) = [envelope.payload for envelope in cloud.bus.events()]
    assert isinstance(notice, Notification)
    assert notice.why[0] == "rollout 4 is under way: leave that one first"


def _later() -> dict[str, Any]:
    opened = {"run": "digits-000003", "steps": [5, 100], "base": None}
    return {**opened, "candidate": {"id": "4", "version": "v@4", "run": "digits-000003", "artefacts": "gs://a"}}


BUSY = (Transient("vertex.deploy", "status 429"), Refused("vertex.deploy", "status 400: other operations are running"))


@pytest.mark.parametrize("busy", BUSY, ids=["429", "400"])
def test_a_return_whose_deployment_was_busy_once_comes_about_and_is_announced(busy: Exception) -> None:
    cloud = promoted()
    cloud.door.before["vertex.deploy"] = busy
    leave(cloud)
    cloud.pass_time(61)
    leave(cloud)
    titles = [payload.title for payload in live_on(cloud) if isinstance(payload, Notification)]
    assert "digits: version 1 comes back from the registry" in titles
    assert split_of(cloud) == {"3": 100}


def test_a_return_that_failed_can_be_asked_for_again() -> None:
    cloud = promoted()
    cloud.door.before["vertex.deploy"] = Refused("vertex.deploy", "status 404: no such version")
    leave(cloud)
    live_on(cloud)
    for _ in range(2):  # the same request, delivered again
        assert leave(cloud) == 200
    assert keys(cloud, "rollouts/digits/000004/") == []
    assert leave(cloud, "another request") == 200
    live_on(cloud)
    assert split_of(cloud) == {"4": 100}
    assert leave(cloud) == 200
    assert keys(cloud, "rollouts/digits/000005/") == []


def test_who_died_between_the_verdict_on_a_return_and_its_end_leaves_it_ended() -> None:
    cloud = promoted()
    cloud.door.before["vertex.deploy"] = Refused("vertex.deploy", "status 404: no such version")
    leave(cloud)
    cloud.state.delete(f"{NEXT}end")
    assert leave(cloud) == 200
    assert data_of(cloud, f"{NEXT}end")["because"] == "deployment: status 404: no such version"
    assert cloud.door.effects.count("vertex.deploy") == 1


def test_a_refusal_for_another_reason_is_heard_too() -> None:
    cloud = promoted()
    ledger(cloud).record(rollout_key(MODEL, 3, "opened"), Outcome(_later() | {"base": CANDIDATE.to_json()}))
    leave(cloud)
    ledger(cloud).record(rollout_key(MODEL, 3, "shifted/000001"), Outcome({"percent": 100, "split": {"3": 100}}))
    ledger(cloud).record(rollout_key(MODEL, 3, "end"), Outcome({"outcome": "promoted"}))
    leave(cloud, "another request")
    notices = [envelope.payload for envelope in cloud.bus.events() if isinstance(envelope.payload, Notification)]
    assert [notice.why[0] for notice in notices] == [
        "rollout 3 is under way: leave that one first",
        "what it brought is not in production any more since rollout 3",
    ]


def test_who_died_before_noting_a_return_has_its_rows_set_aside_too() -> None:
    cloud = promoted()
    leave(cloud, set_aside=True)
    cloud.state.delete("rollouts/digits/000002/returned")
    assert leave(cloud, set_aside=True) == 200
    assert data_of(cloud, "rollouts/digits/000002/returned")["set_aside"]


def test_who_asks_again_can_have_the_rows_set_aside_that_were_not_before() -> None:
    cloud = promoted()
    cloud.door.before["vertex.deploy"] = Refused("vertex.deploy", "status 404: no such version")
    leave(cloud)
    live_on(cloud)
    leave(cloud, "another request", set_aside=True)
    assert data_of(cloud, "rollouts/digits/000002/returned")["set_aside"]


def test_rows_that_are_set_aside_with_it_are_trained_on_no_more() -> None:
    cloud = promoted()
    leave(cloud, set_aside=True)
    live_on(cloud)
    assert data_of(cloud, "rollouts/digits/000002/returned")["set_aside"]
