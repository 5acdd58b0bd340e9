"""The tables of docs/deploying.md: what a deployment creates, from its plan, and what it costs, from the prices."""

from collections.abc import Sequence

from cli.costs import NAMES, before, note
from cli.doctor.findings import area_of
from deploy.plan import plan
from deploy.table import load
from deploy.target import Target
from shared.costs import BACKENDS, amount, sizes
from shared.prices import PriceTable, list_prices
from shared.settings import DataSettings, Settings

_SHOWN = 4


def creates() -> str:
    """What stands in a project after a deployment, by its parts, as a Markdown table."""
    areas: dict[str, list[str]] = {}
    for step in plan(Target("PROJECT", "REGION"), load()):
        if step.make:
            areas.setdefault(area_of(step), []).append(step.title)
    rows = [f"| {area} | {len(titles)} | {_some(titles)} |" for area, titles in areas.items()]
    return "\n".join(["| part | how many | such as |", "|---|---|---|", *rows]) + "\n"


def costs() -> str:
    """What a model with the default settings costs on each backend, and what each price is worth."""
    table = list_prices()
    found = before(table, sizes(Settings(data=DataSettings(target="label"))))
    rows = [f"| {what} | {' | '.join(amount(each[name].dollars) for name in BACKENDS)} |" for what, each in found]
    head = [f"| | {' | '.join(NAMES[name] for name in BACKENDS)} |", "|---|---|---|"]
    return "\n".join([*head, *rows, "", f"({note(table)})", "", *_prices(table)]) + "\n"


def _prices(table: PriceTable) -> list[str]:
    rows = [
        f"| `{name}` | {_exactly(price.dollars)} | {price.per} | {price.read} | {price.checked} |"
        for name, price in table.price.items()
    ]
    return ["| price | dollars | per | read | how sure |", "|---|---|---|---|---|", *rows]


def _exactly(dollars: float) -> str:
    return f"{dollars:.10f}".rstrip("0").rstrip(".")


def _some(titles: Sequence[str]) -> str:
    shown = "; ".join(title.split(" for ")[0].replace("|", "/") for title in titles[:_SHOWN])
    return f"{shown}; …" if len(titles) > _SHOWN else shown
