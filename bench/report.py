"""How a measurement is told: a row in a table and in a JSON file, with its target where it has one."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

FOLDER = Path("build/bench")


@dataclass(frozen=True)
class Row:
    """One number; `target` and `met` are None where nothing was promised."""

    name: str
    value: float
    unit: str
    target: float | None = None
    met: bool | None = None


def at_most(name: str, value: float, unit: str, target: float) -> Row:
    """A number that must not be above its target."""
    return Row(name, float(value), unit, target, bool(value <= target))  # numpy's own are neither JSON nor `is False`


def at_least(name: str, value: float, unit: str, target: float) -> Row:
    """A number that must not be below its target."""
    return Row(name, float(value), unit, target, bool(value >= target))


def middle(values: Sequence[float]) -> float:
    """The median: the machine is shared, and one slow round says nothing."""
    return median(values)


def tell(subject: str, rows: Sequence[Row], console: Console) -> None:
    """Prints the rows and keeps them in `build/bench/<subject>.json`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{subject}.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    table = Table("name", "value", "unit", "target", "met", box=None, title=subject, title_justify="left")
    for row in rows:
        target = "" if row.target is None else f"{row.target:g}"
        met = {None: "", True: "yes", False: "no"}[row.met]
        table.add_row(row.name, f"{row.value:.3g}" if row.value < 1000 else f"{row.value:.0f}", row.unit, target, met)
    console.print(table)
