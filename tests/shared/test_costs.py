"""Each formula against numbers computed by hand from a table of round prices; the table that Serin comes with."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared import costs
from shared.costs import BACKENDS, FORECASTS, Backend, Cost, Part, Sizes, amount, sizes
from shared.errors import BadInput
from shared.prices import FILE, PriceTable, Work, list_prices, read_prices
from shared.settings import DataSettings, Settings

PRICES = {
    "vertex_training/n1-standard-4": 0.6,
    "vertex_serving/n1-standard-2": 0.1,
    "cloud_run/request_cpu": 0.00002,
    "cloud_run/request_memory": 0.000002,
    "cloud_run/requests": 0.5,
    "cloud_run/idle_cpu": 0.000003,
    "cloud_run/idle_memory": 0.000001,
    "cloud_run/job_cpu": 0.00001,
    "cloud_run/job_memory": 0.000002,
    "storage/class_a": 0.005,
    "storage/class_b": 0.0004,
    "storage/month": 0.02,
    "pubsub/throughput": 40.0,
    "scheduler/job": 0.1,
    "registry/month": 0.1,
    "logging/ingested": 0.5,
}
ASSUMED = {
    "training_seconds": 1800, "staging_seconds": 360, "function_cpus": 0.5, "function_gibibytes": 1.0,
    "call_seconds": 0.1, "prediction_seconds": 0.02, "message_bytes": 2048, "log_bytes": 1024,
    "stored_gigabytes": 10, "image_gigabytes": 3,
}  # fmt: skip
SIZE = Sizes("n1-standard-4", 4.0, 16.0, "n1-standard-2", 1.0, 2.0, 2, 1200.0, 2400.0, 60.0)


def table(without: str = "", **assumed: float) -> PriceTable:
    known = {"per": "x", "source": "here", "read": date(2026, 1, 1), "checked": "page"}
    tick = {"deliveries": 1, "writes": 2, "reads": 3, "messages": 1}
    return PriceTable.model_validate(
        {
            "as_of": date(2026, 1, 1),
            "region": "nowhere",
            "price": {name: {**known, "dollars": each} for name, each in PRICES.items() if name != without},
            "counted": {
                "run": {"deliveries": 20, "writes": 100, "reads": 200, "messages": 16},
                "tick": tick,
                "interval": {"deliveries": 5, "writes": 20, "reads": 30, "messages": 4},
            },
            "assumed": {**ASSUMED, **assumed},
        }
    )


def test_accelerators_cost_beside_the_machine_and_spot_has_prices_of_its_own() -> None:
    with_two = replace(SIZE, accelerator="NVIDIA_H100_80GB", accelerators=2)
    known = table()
    price = known.price["storage/month"].model_copy(update={"dollars": 9.0})
    named = {"vertex_training_accelerator/NVIDIA_H100_80GB": price}
    priced = known.model_copy(update={"price": {**known.price, **named}})
    assert costs.training(priced, with_two, "vertex", 1800).dollars == pytest.approx(0.3 + 9.0)
    assert costs.training(priced, with_two, "vertex", 1800).what == "training for 30 min with 2 × NVIDIA_H100_80GB"


@pytest.mark.parametrize(
    "size", [replace(SIZE, spot=True), replace(SIZE, accelerator="NVIDIA_TESLA_T4", accelerators=1)]
)
def test_what_has_no_price_is_not_reckoned_smaller(size: Sizes) -> None:
    cost = costs.run(table(), size, "vertex")
    assert cost.dollars is None
    assert "not known" in costs.told(cost)
    assert costs.run(table(), size, "cloud_run").dollars is not None


def parts(cost: Cost) -> list[float | None]:
    return [part.dollars for part in cost.parts]


def about(*wanted: float) -> Any:
    return pytest.approx(list(wanted), rel=1e-9)


# 300 calls × 0.1 s = 30 s; 30 × (0.5 × 0.00002 + 1 × 0.000002) = 0.00036; 20 requests × 0.5 / 1e6 = 0.00001
RUN_FUNCTIONS = 0.00037
# 100 × 0.005 / 1000 + 200 × 0.0004 / 1000
RUN_CALLS = 0.00058
# 16 messages × 2 × 2,048 bytes × 40 / 2^40
RUN_MESSAGES = 16 * 4096 * 40 / 2**40


def test_a_run_on_vertex_ai_is_its_job_its_staging_and_its_functions() -> None:
    # half an hour at 0.6; two replicas at 0.1 for a tenth of an hour
    wanted = about(0.3, 0.02, RUN_FUNCTIONS, RUN_CALLS, RUN_MESSAGES)
    assert parts(costs.run(table(), SIZE, "vertex")) == wanted


def test_a_run_on_cloud_run_is_billed_by_the_second_of_cpu_and_memory() -> None:
    # 1800 × (4 × 0.00001 + 16 × 0.000002) = 0.1296; 360 × (1 × 0.000003 + 2 × 0.000001) = 0.0018
    wanted = about(0.1296, 0.0018, RUN_FUNCTIONS, RUN_CALLS, RUN_MESSAGES)
    assert parts(costs.run(table(), SIZE, "cloud_run")) == wanted


def test_an_idle_month_is_730_hours_of_replicas_and_43800_ticks() -> None:
    found = parts(costs.idle_month(table(), SIZE, "vertex"))
    # 219,000 calls × 0.1 s × 0.000012 + 43,800 × 0.5 / 1e6
    functions = 0.2628 + 0.0219
    calls = 87_600 * 0.005 / 1000 + 131_400 * 0.0004 / 1000
    messages = 43_800 * 4096 * 40 / 2**40
    assert found == about(2 * 730 * 0.1, functions, calls, messages, 0.1, 0.2, 0.3, 43_800 * 1024 * 0.5 / 2**30)


def test_on_cloud_run_an_idle_month_costs_the_same_but_for_the_replicas() -> None:
    vertex, run = (parts(costs.idle_month(table(), SIZE, backend)) for backend in BACKENDS)
    assert run == [0.0, *vertex[1:]]


def test_a_million_predictions_take_machine_time_or_requests() -> None:
    # 1e6 × 0.02 s on two cores: 10,000 s of a machine at 0.1 an hour
    assert parts(costs.million_predictions(table(), SIZE, "vertex")) == about(10_000 / 3600 * 0.1)
    # each is billed as 0.1 s: 100,000 s × (1 × 0.00002 + 2 × 0.000002), and a million requests
    assert parts(costs.million_predictions(table(), SIZE, "cloud_run")) == about(2.4, 0.5)


def test_a_slow_prediction_is_billed_for_what_it_takes() -> None:
    assert parts(costs.million_predictions(table(prediction_seconds=0.5), SIZE, "cloud_run")) == about(12.0, 0.5)


@pytest.mark.parametrize(("backend", "warm"), [("vertex", 0.2), ("cloud_run", 0.036)])
def test_a_canary_keeps_a_second_version_warm_until_the_bake_is_over(backend: Backend, warm: float) -> None:
    # One hour. Vertex AI: two replicas more at 0.1. Cloud Run: two instances × 3600 × (0.000003 + 2 × 0.000001).
    found = costs.canary(table(), SIZE, backend)
    assert found.what == "a canary of 1 h"
    # 60 intervals × 50 calls × 0.1 s × 0.000012 + 300 × 0.5 / 1e6
    assert parts(found)[:2] == about(warm, 0.0036 + 0.00015)
    assert parts(found)[2] == pytest.approx(1200 * 0.005 / 1000 + 1800 * 0.0004 / 1000)


def test_functions_cost_the_time_that_they_took_where_it_is_known() -> None:
    done = Work(deliveries=2, writes=10, reads=10, messages=1)
    assert costs.work(table(), done, 100.0)[0].dollars == pytest.approx(100 * 0.000012 + 2 * 0.5 / 1e6)


def test_a_message_counts_a_thousand_bytes_at_least() -> None:
    done = Work(deliveries=0, writes=0, reads=0, messages=1)
    assert costs.work(table(message_bytes=10), done)[2].dollars == pytest.approx(2 * 1000 * 40 / 2**40)


def test_a_missing_price_makes_a_sum_unknown_and_not_smaller() -> None:
    found = costs.run(table(without="vertex_training/n1-standard-4"), SIZE, "vertex")
    assert found.dollars is None
    assert amount(found.dollars) == "not known, there is no price for a part of it"
    assert costs.run(table(without="vertex_training/n1-standard-4"), SIZE, "cloud_run").dollars is not None
    assert costs.work(table(without="cloud_run/requests"), table().counted.run)[0].dollars is None


def test_a_sum_is_that_of_its_parts() -> None:
    assert Cost("x", (Part("a", 1.5), Part("b", 0.25))).dollars == 1.75


def test_amounts_are_told_with_the_digits_that_matter() -> None:
    assert [amount(each) for each in (0.0, 0.00123, 1234.5)] == ["$0.00", "$0.0012", "$1,234.50"]


def test_sizes_are_those_of_the_settings() -> None:
    found = sizes(Settings(data=DataSettings(target="y")))
    assert (found.training_machine, found.serving_machine, found.replicas) == ("n1-standard-4", "n1-standard-2", 1)
    assert (found.watched_seconds, found.bake_seconds, found.interval_seconds) == (900.0, 86_400.0, 60.0)


def test_the_table_that_serin_comes_with_knows_every_price_of_the_default_settings() -> None:
    size = sizes(Settings(data=DataSettings(target="y")))
    found = [forecast(list_prices(), size, backend) for forecast in FORECASTS for backend in BACKENDS]
    assert [cost.what for cost in found if cost.dollars is None] == []


def test_every_price_names_its_source_its_day_and_how_sure_it_is() -> None:
    for name, price in list_prices().price.items():
        assert price.read <= list_prices().as_of, name
        assert price.source.startswith("https://") or price.checked == "memory", name


def test_all_problems_of_a_table_are_told_at_once() -> None:
    text = (
        FILE.read_text()
        .replace("dollars = 0.10\n", "dollars = -1\n", 1)
        .replace('checked = "page"\n', 'checked = "no"\n', 1)
    )
    with pytest.raises(BadInput) as refused:
        read_prices(text.encode())
    assert len(refused.value.reasons) == 2
