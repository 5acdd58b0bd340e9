"""Each function, its message delivered twice at once, one of them dying or refused: the end is the undisturbed one.

Every order with a switch between the deliveries; `make faults` tries every order, three deliveries, and two crashes.
"""

import pytest

from shared.wiring import FUNCTIONS
from tests.faults.replaying import BESIDE, ETAGS_IGNORED, Exploration
from tests.faults.scheduler import Budget
from tests.faults.situations import shift_and_rollback_on_cloud_run

MOST_RUNS = 20_000
pytestmark = pytest.mark.timeout(600)
SWITCHES = 1
"""How many switches a suite that runs on every change can afford."""
CRASH, ERROR = Budget(crashes=1, switches=SWITCHES), Budget(errors=1, switches=SWITCHES)


def wrong(exploration: Exploration) -> list[str]:
    return exploration.wrong(exploration.explore(MOST_RUNS))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_deliveries_and_a_crash_come_to_the_same(function: str) -> None:
    assert wrong(Exploration(function, CRASH)) == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_effect_that_fails_comes_to_the_same(function: str) -> None:
    assert wrong(Exploration(function, ERROR, copies=1)) == []


ON_CLOUD_RUN = shift_and_rollback_on_cloud_run
FAULTS = [*((each, CRASH) for each in (*BESIDE[:3], ON_CLOUD_RUN)), (BESIDE[0], ERROR)]


@pytest.mark.parametrize(("beside", "budget"), [(each.__name__, budget) for each, budget in FAULTS])
@pytest.mark.parametrize("etags", ["", ETAGS_IGNORED], ids=["etags honoured", "etags ignored"])
def test_a_rollback_beside_a_change_of_traffic_comes_to_the_same(beside: str, budget: Budget, etags: str) -> None:
    assert wrong(Exploration(beside + etags, budget)) == []
