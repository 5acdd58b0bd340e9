"""What a run cost, from its records and a table of prices; the forecast as a person and a program read it."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import reading, tracing
from cli.costs import Used, after, of_used, used
from cli.main import app
from shared.errors import BadInput
from shared.ids import ModelName, RunId
from shared.ledger import Author, Ledger, Origin, Outcome, rollout_key, run_key, window_key
from shared.prices import FILE, list_prices
from shared.settings import DataSettings, Settings
from tests.world.cloud import START, MemoryCloud

MODEL, RUN = ModelName("digits"), RunId("digits-000001")
SETTINGS = {"data": {"target": "digit"}, "training": {"machine_type": "n1-standard-8"}}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(cloud: MemoryCloud, key: str, began: float, ended: float, **data: object) -> None:
    origin = Origin("an event", at(began), at(began))
    author = Author("a_function", "an event", None, lambda: at(ended), cloud.token, origin)
    Ledger(cloud.state, author).record(key, Outcome(data))


@pytest.fixture
def ledger() -> Ledger:
    cloud = MemoryCloud()
    record(cloud, window_key(MODEL, 1), 0, 1, run=RUN, settings=SETTINGS)
    record(cloud, run_key(RUN, "job-1"), 1, 2)
    record(cloud, run_key(RUN, "decision"), 1802, 1803)
    record(cloud, run_key(RUN, "staged"), 1900, 1900)
    record(cloud, run_key(RUN, "smoke"), 1958, 1960)
    record(cloud, run_key(RUN, "rollout"), 1960, 1962, rollout=1)
    record(cloud, rollout_key(MODEL, 1, "opened"), 1960, 1961, base={"version": "models/digits@1"})
    record(cloud, rollout_key(MODEL, 1, "steps/000001"), 2000, 2000, percent=5)
    record(cloud, run_key(RUN, "end"), 2100, 2101, outcome="live")
    record(cloud, rollout_key(MODEL, 1, "end"), 5600, 5600, outcome="promoted")
    return Ledger(cloud.state, Author("cli", None, None, cloud.now, cloud.token))


def found(ledger: Ledger) -> Used:
    return used(reading.timeline(ledger, RUN), tracing.bars(ledger, RUN))


def test_what_a_run_used_is_told_by_its_records(ledger: Ledger) -> None:
    # The rollout's two records of one delivery are one; its seconds are those to the later record.
    assert found(ledger) == Used(
        jobs_seconds=1800.0, staged_seconds=60.0, canary_seconds=3600.0, deliveries=9, functions_seconds=8.0, messages=0
    )


def test_a_first_model_has_no_second_version_beside_it(ledger: Ledger) -> None:
    records = [each for each in reading.timeline(ledger, RUN) if "/opened" not in each.key]
    assert used(records, ()).canary_seconds == 0.0


def test_what_was_used_is_priced_with_the_runs_own_machines(ledger: Ledger) -> None:
    table = list_prices()
    parts = {part.what: part.dollars for part in after(table, ledger, RUN).parts}
    assert parts["training for 30 min"] == pytest.approx(0.5 * 0.4369977)
    assert parts["staged for 60 s"] == pytest.approx(0.1095 / 60)
    assert parts["two versions for 3600 s"] == pytest.approx(0.1095)
    # 8 s × (0.333 × 0.000024 + 0.5 × 0.0000025) + 9 × 0.40 / 1e6
    assert parts["functions"] == pytest.approx(8 * 0.000009242 + 9 * 0.4e-6)
    # 9 of a run's 20 deliveries: 35.1 writes, 62.1 reads
    assert parts["storage operations"] == pytest.approx(35.1 * 0.005 / 1000 + 62.1 * 0.0004 / 1000)


def test_a_run_that_has_used_nothing_costs_nothing() -> None:
    settings = Settings(data=DataSettings(target="y"))
    assert of_used(list_prices(), settings, Used(0, 0, 0, 0, 0, 0)).dollars == 0.0


def test_a_run_and_its_rollout_end_under_different_names(ledger: Ledger) -> None:
    names = [tracing.name_of(each) for each in reading.timeline(ledger, RUN)]
    assert [each for each in names if "end" in each] == ["end", "rollout's end"]


def test_a_run_that_never_was_is_bad_input(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="there is no run"):
        after(list_prices(), ledger, RunId("digits-000009"))


def cost(*words: str) -> str:
    result = CliRunner().invoke(app, ["cost", *words])
    assert result.exit_code == 0, result.output
    return str(result.output)


def test_the_forecast_names_every_backend_the_day_of_the_prices_and_how_sure_they_are() -> None:
    told = cost()
    assert "Vertex AI" in told and "Cloud Run" in told
    assert "an idle month" in told
    assert f"table of {list_prices().as_of}" in told
    assert "could not be verified" in told


def test_a_settings_file_and_a_table_of_ones_own_change_the_forecast(tmp_path: Path) -> None:
    settings, prices = tmp_path / "m.toml", tmp_path / "prices.toml"
    settings.write_text('[data]\ntarget = "y"\n[serving]\nreplicas_min = 2\n')
    prices.write_text(FILE.read_text().replace("dollars = 0.1095\n", "dollars = 1.0\n"))
    once, twice = (json.loads(cost("--json", *words))[1] for words in ((), ("--settings", str(settings))))
    assert twice["vertex"]["parts"][0]["dollars"] == 2 * once["vertex"]["parts"][0]["dollars"]
    (dear,) = [each for each in json.loads(cost("--json", "--prices", str(prices))) if each["what"] == "an idle month"]
    assert dear["vertex"]["parts"][0]["dollars"] == 730.0


def test_a_machine_without_a_price_makes_the_forecast_unknown(tmp_path: Path) -> None:
    settings = tmp_path / "m.toml"
    settings.write_text('[data]\ntarget = "y"\n[training]\nmachine_type = "a3-highgpu-8g"\n')
    assert "not known" in cost("--settings", str(settings))
    assert json.loads(cost("--json", "--settings", str(settings)))[0]["vertex"]["dollars"] is None
