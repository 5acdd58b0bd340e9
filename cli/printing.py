"""Tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console()


def show_table(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Prints these columns of the rows, or all of the rows as JSON."""
    if as_json:
        print(json.dumps(list(rows), indent=1))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(Text(plain(row[column]), overflow="fold") for column in columns))
    console.print(table)


def plain(cell: Any) -> str:
    """A cell's text, which may come from outside, without what would steer the terminal."""
    if isinstance(cell, dict):
        text = ", ".join(f"version {name}: {share} %" for name, share in cell.items())
    else:
        text = "\n".join(cell) if isinstance(cell, list) else "" if cell is None else str(cell)
    return "".join(each if each == "\n" or each.isprintable() else f"\\u{ord(each):04x}" for each in text)
