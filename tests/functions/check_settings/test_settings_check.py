"""Settings are judged once per generation; all problems are told, and those before stay in force."""

import pytest

from shared.events import Notification
from shared.settings import current
from tests.functions.standing_rollout import MODEL
from tests.functions.standing_run import foreign, ledger, published
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement, deliver

GOOD = b'[data]\ntarget = "digit"\n[threshold]\nat_least = 7\n'


def dropped(cloud: MemoryCloud, text: bytes, name: str = "settings/digits.toml") -> Notification | None:
    entry = cloud.data.put(name, text)
    message = foreign("data-uploaded").__class__(announcement(name, entry.generation), b"{}")
    for _ in range(2):
        assert deliver(cloud, "check_settings", "data-uploaded", message) == 200
    told = {payload.model_dump_json(): payload for payload in published(cloud)}
    (notice,) = told.values()
    assert isinstance(notice, Notification)
    return notice


def threshold(cloud: MemoryCloud) -> int:
    found = current(ledger(cloud), cloud.data, MODEL)
    assert found is not None
    return found[1].threshold.at_least


def test_good_settings_are_in_force() -> None:
    cloud = MemoryCloud()
    notice = dropped(cloud, GOOD)
    assert notice is not None
    assert notice.title == "digits: new settings are in force"
    assert threshold(cloud) == 7


def test_every_problem_is_told_and_the_settings_before_stay_in_force() -> None:
    cloud = MemoryCloud()
    dropped(cloud, GOOD)
    bad = b'[data]\ntarget = ""\n[threshold]\nat_least = -1\n[rollout]\nsteps = [50, 25]\n[serving]\nmachine = "n1"\n'
    notice = dropped(cloud, bad)
    assert notice is not None
    assert (notice.severity, len(notice.why)) == ("warning", 4)
    assert {why.split(":")[0] for why in notice.why} >= {
        "data.target",
        "threshold.at_least",
        "rollout",
        "serving.machine",
    }
    assert threshold(cloud) == 7


def test_what_is_not_toml_is_told() -> None:
    notice = dropped(MemoryCloud(), b"target = ")
    assert notice is not None
    assert "not a TOML file" in notice.why[0]


@pytest.mark.parametrize("model", ["Digits!", "digits-staging"])
def test_a_name_that_holds_no_model_is_refused(model: str) -> None:
    """Nor may one model's production endpoint have the name of another's staging endpoint."""
    notice = dropped(MemoryCloud(), GOOD, f"settings/{model}.toml")
    assert notice is not None
    assert "settings/<model>.toml" in notice.why[0]
