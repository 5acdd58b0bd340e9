"""Each function, its message delivered twice at once, one of them dying or refused: the end is the undisturbed one.

Every order with a switch between the deliveries; `make faults` tries every order, and two crashes.
"""

import os
from collections.abc import Callable

import pytest

from bench.situations import SITUATIONS, Situation
from shared.envelope import Message
from shared.ids import ModelName
from tests.faults.exploration import Case, explored
from tests.faults.scheduler import Budget, Delivery
from tests.functions.standing_rollout import BASE, deployed_ids, order, split_of, stands, under_way
from tests.functions.standing_run import event
from tests.world.cloud import MemoryCloud

LONG = os.environ.get("SERIN_FAULTS") == "long"
MOST_RUNS = 2_000_000 if LONG else 20_000
SWITCHES = 1
"""How many switches a suite that runs on every change can afford."""


def budget(crashes: int = 0, errors: int = 0) -> Budget:
    if LONG:
        return Budget(crashes=2 * crashes, errors=2 * errors)
    return Budget(crashes, errors, switches=SWITCHES)


def situation(function: str) -> Case:
    cloud = MemoryCloud()
    topic, message = SITUATIONS[function](Situation(cloud, ModelName("digits")))
    return Case(cloud, [Delivery(function, topic, message, function)])


def of_event(function: str, topic: str) -> Delivery:
    envelope = event(topic)
    return Delivery(function, topic, Message(envelope.attributes(), envelope.data()), function)


def left(cloud: MemoryCloud) -> str:
    """What is wrong with a world in which the rollout was left."""
    if split_of(cloud) != {BASE.id: 100}:
        return f"the split is {split_of(cloud)}"
    if deployed_ids(cloud) != {BASE.id}:
        return f"deployed are {deployed_ids(cloud)}"
    missing = [name for name in ("verdict", "end") if not stands(cloud, name)]
    return f"without {missing}" if missing else ""


def shift_and_rollback() -> Case:
    """A step of the traffic is written while somebody rolls back."""
    cloud = under_way()
    order(cloud, 1, 5)
    shift, leave = of_event("shift_traffic", "traffic-requested"), of_event("roll_back", "rollback-requested")
    return Case(cloud, [leave, shift], copies=1, goal=left)


def two_rollbacks() -> Case:
    return Case(under_way(25), [of_event("roll_back", "rollback-requested")])


def deployment_and_rollback() -> Case:
    """A rollout is left while its candidate is being deployed."""
    cloud = under_way()
    leave, deploy = of_event("roll_back", "rollback-requested"), of_event("deploy_canary", "smoke-passed")
    return Case(cloud, [leave, deploy], copies=1, goal=left)


@pytest.mark.parametrize("function", SITUATIONS)
def test_two_deliveries_and_a_crash_come_to_the_same(function: str) -> None:
    found = explored(situation(function), budget(crashes=1), MOST_RUNS)
    assert found.failures == []


@pytest.mark.parametrize("function", SITUATIONS)
def test_two_deliveries_and_an_effect_that_fails_come_to_the_same(function: str) -> None:
    case = situation(function)
    found = explored(Case(case.cloud, case.deliveries, copies=2 if LONG else 1), budget(errors=1), MOST_RUNS)
    assert found.failures == []


BESIDE = (shift_and_rollback, two_rollbacks, deployment_and_rollback)
FAULTS = [*((each, "crashes") for each in BESIDE), *((each, "errors") for each in (BESIDE if LONG else BESIDE[:1]))]


@pytest.mark.parametrize(("situated", "fault"), FAULTS)
@pytest.mark.parametrize("honoured", [True, False], ids=["etags honoured", "etags ignored"])
def test_a_rollback_beside_a_change_of_traffic_comes_to_the_same(
    situated: Callable[[], Case], fault: str, honoured: bool
) -> None:
    case = situated()
    case.cloud.vertex.honours_etags = honoured
    found = explored(case, budget(**{fault: 1}), MOST_RUNS)
    assert found.failures == []
