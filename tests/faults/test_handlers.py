"""Each function, its message delivered twice at once, one of them dying or refused: the end is the undisturbed one.

Every order with a switch between the deliveries; `make faults` tries every order, and two crashes.
"""

import os
from collections.abc import Callable

import pytest

from shared.wiring import FUNCTIONS
from tests.faults.exploration import Case, explored
from tests.faults.scheduler import Budget
from tests.faults.situations import (
    deployment_and_rollback,
    of_function,
    shift_and_rollback,
    two_rollbacks,
)  # fmt: skip

LONG = os.environ.get("SERIN_FAULTS") == "long"
MOST_RUNS = 2_000_000 if LONG else 20_000
SWITCHES = 1
"""How many switches a suite that runs on every change can afford."""


def budget(crashes: int = 0, errors: int = 0) -> Budget:
    if LONG:
        return Budget(crashes=2 * crashes, errors=2 * errors)
    return Budget(crashes, errors, switches=SWITCHES)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_deliveries_and_a_crash_come_to_the_same(function: str) -> None:
    found = explored(of_function(function), budget(crashes=1), MOST_RUNS)
    assert found.failures == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_deliveries_and_an_effect_that_fails_come_to_the_same(function: str) -> None:
    case = of_function(function)
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
