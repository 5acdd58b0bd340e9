"""Tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console()


def show_table(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Prints these columns of the rows, or all of the rows as JSON."""
    if as_json:
        print(json.dumps(list(rows), indent=1))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"version {name}: {share} %" for name, share in value.items())
    return "\n".join(value) if isinstance(value, list) else "" if value is None else str(value)
