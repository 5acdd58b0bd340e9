"""New code trains the models whose owners want that, once per commit."""

from cli.code_pushed import requests
from shared.settings import object_name
from tests.functions.standing_run import ledger
from tests.world.cloud import MemoryCloud
from tests.world.running import drop, settle

SETTINGS = "[data]\ntarget = 'y'\n"
WANTED = SETTINGS + "[threshold]\nretrain_on_code = true\n"


def test_only_models_whose_settings_ask_for_it_are_trained_by_new_code() -> None:
    cloud = MemoryCloud()
    for model, text in {"asks": WANTED, "does-not": SETTINGS}.items():
        drop(cloud, object_name(model), text.encode())  # type: ignore[arg-type]
    settle(cloud)
    (asked,) = requests(ledger(cloud), cloud, "3e9c965")
    assert (asked.model, asked.reason, asked.because) == ("asks", "code", "commit 3e9c965")
    assert asked.request == "code-3e9c965"
