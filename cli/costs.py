"""What things cost: before, from settings and the table of prices; after a run, from what the ledger says it used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cli import reading, tracing
from cli.printing import show_table
from shared import costs
from shared.costs import BACKENDS, Backend, Cost, Sizes, amount, sizes
from shared.errors import BadInput
from shared.ids import RunId
from shared.ledger import Ledger, Record
from shared.prices import PriceTable, Work
from shared.settings import Settings, settings_of

NAMES: Mapping[Backend, str] = {"vertex": "Vertex AI", "cloud_run": "Cloud Run"}


@dataclass(frozen=True)
class Used:
    """What a run used so far: seconds of its jobs, of its staging, of its canary; deliveries and their seconds."""

    jobs_seconds: float
    staged_seconds: float
    canary_seconds: float
    deliveries: int
    functions_seconds: float
    messages: int


def show(table: PriceTable, settings: Settings, as_json: bool) -> None:
    """Prints what each thing costs on each backend."""
    found = before(table, sizes(settings))
    if as_json:
        told = [{"what": what, **{name: _told(cost) for name, cost in each.items()}} for what, each in found]
        print(json.dumps(told, indent=1))
        return
    rows = [{"what": what, **{NAMES[name]: amount(each[name].dollars) for name in each}} for what, each in found]
    show_table(rows, ("what", *NAMES.values()), as_json=False)
    print(note(table))


def show_used(table: PriceTable, cost: Cost, as_json: bool) -> None:
    """Prints what a run cost."""
    print(json.dumps({"what": cost.what, **_told(cost)}, indent=1) if as_json else "\n".join(_lines(table, cost)))


def before(table: PriceTable, size: Sizes) -> list[tuple[str, dict[Backend, Cost]]]:
    """What each thing costs on each backend."""
    found = [{each: price(table, size, each) for each in BACKENDS} for price in costs.FORECASTS]
    return [(each["vertex"].what, each) for each in found]


def after(table: PriceTable, ledger: Ledger, run: RunId) -> Cost:
    """What a run cost so far, with the machines that its own settings name; BadInput when there is no such run."""
    records = reading.timeline(ledger, run)
    return of_used(table, settings_of(ledger, run), used(records, tracing.bars(ledger, run)))


def used(records: Sequence[Record], bars: Sequence[tracing.Bar]) -> Used:
    """What a run's records say that it used."""
    at = {tracing.name_of(record): record for record in records}
    last = records[-1].at
    opened, first = at.get("opened"), at.get("steps/000001")
    has_base = opened is not None and opened.data.get("base") is not None
    handled = {(record.by, record.origin.began): record.at for record in records if record.origin is not None}
    return Used(
        sum(bar.working_seconds for bar in bars if bar.name == "training job"),
        _seconds(at.get("staged"), at.get("smoke"), last),
        _seconds(first, at.get(tracing.ROLLOUT_END), last) if has_base else 0.0,
        len(handled),
        sum(max(0.0, (until - began).total_seconds()) for (_, began), until in handled.items()),
        sum(len(record.events) for record in records),
    )


def of_used(table: PriceTable, settings: Settings, found: Used) -> Cost:
    """What was used, priced. Calls of Cloud Storage are reckoned: per delivery as many as a run makes on average."""
    size, served = sizes(settings), settings.serving.backend
    counted = table.counted.run
    each = found.deliveries / counted.deliveries if counted.deliveries else 0.0
    done = Work(
        deliveries=found.deliveries, writes=counted.writes * each, reads=counted.reads * each, messages=found.messages
    )
    return Cost(
        "the run so far",
        (
            costs.training(table, size, settings.training.backend, found.jobs_seconds),
            costs.serving(table, size, served, found.staged_seconds, f"staged for {found.staged_seconds:.0f} s"),
            costs.serving(table, size, served, found.canary_seconds, f"two versions for {found.canary_seconds:.0f} s"),
            *costs.work(table, done, found.functions_seconds),
        ),
    )


def note(table: PriceTable) -> str:
    """What a reader must know about the numbers."""
    unsure = sum(price.checked == "memory" for price in table.price.values())
    told = f"list prices in {table.region}, table of {table.as_of}, before free tiers and discounts"
    return f"{told}; {unsure} of {len(table.price)} prices could not be verified" if unsure else told


def newest_settings(ledger: Ledger, model: str) -> Settings:
    """The settings of a model's last run; BadInput when it never had one."""
    opened = ledger.entries(f"windows/{model}/")
    if not opened:
        raise BadInput("model", [f"{model} has no run: name its settings file instead"])
    return Settings.model_validate(ledger.require(opened[-1].key).data["settings"])


def _lines(table: PriceTable, cost: Cost) -> list[str]:
    parts = [f"  {part.what}: {amount(part.dollars)}" for part in cost.parts]
    return [costs.told(cost), *parts, note(table)]


def _told(cost: Cost) -> dict[str, Any]:
    return {"dollars": cost.dollars, "parts": [asdict(part) for part in cost.parts]}


def _seconds(since: Record | None, until: Record | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, ((until.at if until else now) - since.at).total_seconds())
