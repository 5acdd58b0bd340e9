"""Every state of a rollout has an exit and a time limit: the clock alone brings each to an end that people hear of."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.envelope import Envelope, decode
from shared.errors import Transient
from shared.events import Notification, RollbackRequested, SmokePassed, TrafficShifted
from shared.ledger import Outcome, run_key
from shared.rollouts import load
from shared.step import publish
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    MODEL,
    ROLLOUT,
    decide,
    deployed_ids,
    deployed_world,
    opened,
    order,
    put,
    split_of,
    under_way,
)
from tests.functions.standing_run import RUN, ledger, open_run, record
from tests.world.cloud import MemoryCloud
from tests.world.running import settle, tick

HOURS = 30
MINUTES_BETWEEN_LOOKS = 15  # an interval of evidence is a minute, and a look closes twenty


def deploying() -> MemoryCloud:
    """The candidate's deployment was started and never ends."""
    cloud = deployed_world(BASE, split={BASE.id: 100})
    put(cloud, "opened", opened())
    ledger(cloud).record(run_key(RUN, "rollout"), Outcome({"rollout": ROLLOUT}))
    staged = SmokePassed(model=MODEL, run=RUN, version=CANDIDATE.version, artefacts=CANDIDATE.artefacts)
    record(cloud, "smoke", {"passed": True}, staged)
    record(cloud, "staged", {})
    record(cloud, "decision", {"verdict": "deploy"})
    cloud.vertex.prompt = False
    return cloud


def busy() -> MemoryCloud:
    """The candidate's deployment is refused for now, each time."""
    cloud = deploying()

    def refused() -> None:
        cloud.door.meanwhile["vertex.deploy"] = refused
        raise Transient("vertex.deploy", "status 429")

    cloud.door.meanwhile["vertex.deploy"] = refused
    return cloud


def ordered() -> MemoryCloud:
    """A step was ordered; Vertex AI refuses every change of the split."""
    cloud = under_way()
    order(cloud, 1, 5)

    def refused() -> None:
        cloud.door.meanwhile["vertex.set_split"] = refused
        raise Transient("vertex.set_split", "status 503")

    cloud.door.meanwhile["vertex.set_split"] = refused
    return cloud


def taken(percent: int = 5) -> MemoryCloud:
    """A step was taken, and nobody ever reports anything."""
    cloud = under_way()
    number = {5: 1, 25: 2, 50: 3, 100: 4}[percent]
    order(cloud, number, percent)
    split = {CANDIDATE.id: percent, BASE.id: 100 - percent} if percent < 100 else {CANDIDATE.id: 100}
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    cloud.vertex.set_split(endpoint, split)
    told = TrafficShifted(model=MODEL, run=RUN, rollout=ROLLOUT, step=number, percent=percent, split=split)
    put(cloud, f"shifted/{number:06d}", {"percent": percent, "split": split}, told)
    return cloud


def left() -> MemoryCloud:
    """A rollback was decided and whoever decided it died."""
    cloud = taken(25)
    decide(cloud, "rollback")
    return cloud


def returning() -> MemoryCloud:
    """A way back from a promoted rollout was opened, and the older version's deployment never ends."""
    cloud = taken(100)
    open_run(cloud, BASE.run)
    decide(cloud, "promote")
    put(cloud, "end", {"outcome": "promoted"})
    cloud.vertex.undeploy(ENDPOINT, BASE.id)
    cloud.vertex.prompt = False
    return cloud


def live_on(cloud: MemoryCloud, hours: int = HOURS) -> list[str]:
    """Lets time pass and the clock tick; answers what people were told."""
    ledger(cloud).record(f"settings/{MODEL}/00000000000000000001", Outcome({"valid": True, "settings": {}}))
    end = cloud.now() + timedelta(hours=hours)
    while cloud.now() < end:
        tick(cloud)
        settle(cloud)
        cloud.pass_time(60 * MINUTES_BETWEEN_LOOKS)
    told = [decode(message).payload for _, message in cloud.bus.history if "ce-id" in message.attributes]
    return list({payload.title: None for payload in told if isinstance(payload, Notification)})


@pytest.mark.parametrize(
    ("state", "outcome", "split", "words"),
    [
        (deploying, "failed", {BASE.id: 100}, "could not be deployed"),
        (busy, "failed", {BASE.id: 100}, "could not be deployed"),
        (ordered, "inconclusive", {BASE.id: 100}, "inconclusive"),
        (taken, "inconclusive", {BASE.id: 100}, "inconclusive"),
        (lambda: taken(50), "inconclusive", {BASE.id: 100}, "inconclusive"),
        (lambda: taken(100), "promoted", {CANDIDATE.id: 100}, "answers everything"),
        (left, "rolled back", {BASE.id: 100}, "rolled back"),
    ],
    ids=["deploying", "busy", "ordered", "at 5 %", "at 50 %", "baking", "left"],
)
def test_every_state_comes_to_an_end_by_the_clock_alone(
    state: Callable[[], MemoryCloud], outcome: str, split: dict[str, int], words: str
) -> None:
    cloud = state()
    told = live_on(cloud)
    rollout = load(ledger(cloud), MODEL, ROLLOUT)
    assert rollout.end is not None
    assert rollout.end.data["outcome"] == outcome
    assert split_of(cloud) == split
    assert deployed_ids(cloud) == set(split)
    assert any(words in title for title in told), told


def test_a_way_back_that_never_stands_is_given_up_and_production_stays() -> None:
    cloud = returning()
    asked = RollbackRequested(model=MODEL, rollout=ROLLOUT, by="ada@example.org", because="the invoice is wrong")
    publish(cloud, Envelope("a wish", "//test", cloud.now(), asked))
    told = live_on(cloud, hours=3)
    back = load(ledger(cloud), MODEL, ROLLOUT + 1)
    assert back.end is not None and back.end.data["outcome"] == "failed"
    assert split_of(cloud) == {CANDIDATE.id: 100}
    assert "digits: version 1 could not be brought back" in told


def test_the_check_notices_a_state_without_an_exit() -> None:
    """A rollout that nobody may judge, because the clock does not tick, stays as it is."""
    cloud = taken()
    cloud.pass_time(3600 * HOURS)
    settle(cloud)
    assert load(ledger(cloud), MODEL, ROLLOUT).end is None
