"""Metrics made from log lines, as Cloud Logging's log-based metrics are, in Prometheus' text format.

A definition names the lines that count (`where`), the fields that tell series apart (`labels`) and, for a distribution,
the field whose numbers it is of (`value`). Logs are read on from where the last look ended; after a restart they are
read from their beginning, so that a counter never falls.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
Definition = Mapping[str, Any]


@dataclass
class _Series:
    count: int = 0
    sum: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, value: float) -> None:
        self.count += 1
        self.sum += value
        self.buckets[bisect_left(_BOUNDS, value)] += 1


class LogMetrics:
    """The metrics of a folder of logs."""

    def __init__(self, definitions: Sequence[Definition], logs: Path) -> None:
        self._logs = logs
        self._read: dict[Path, int] = {}
        self._known: list[tuple[Definition, dict[tuple[str, ...], _Series]]] = [(each, {}) for each in definitions]

    def text(self) -> str:
        """Everything measured so far."""
        for line in self._lines():
            for definition, series in self._known:
                _count(definition, series, line)
        return "".join(row for definition, series in self._known for row in _rows(definition, series))

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        for path in sorted(self._logs.glob("*.log")):
            with path.open("rb") as log:
                log.seek(self._read.get(path, 0))
                text, end, _unfinished = log.read().rpartition(b"\n")
            self._read[path] = self._read.get(path, 0) + len(text) + len(end)
            yield from _objects(text)


def _objects(text: bytes) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        if line.startswith(b"{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            yield found


def _count(definition: Definition, series: dict[tuple[str, ...], _Series], line: Mapping[str, Any]) -> None:
    if any(line.get(name) != wanted for name, wanted in definition["where"].items()):
        return
    value = 1.0 if definition["value"] is None else line.get(definition["value"])
    if isinstance(value, int | float):
        labels = tuple(str(line.get(name, "")) for name in definition["labels"])
        series.setdefault(labels, _Series()).add(float(value))


def _rows(definition: Definition, series: Mapping[tuple[str, ...], _Series]) -> Iterator[str]:
    name, is_counter = definition["name"], definition["value"] is None
    shown = f"{name}_total" if is_counter else name
    yield f"# HELP {shown} {definition['help']}\n# TYPE {shown} {'counter' if is_counter else 'histogram'}\n"
    for values, one in sorted(series.items()):
        labels = dict(zip(definition["labels"], values, strict=True))
        yield f"{shown}{_labels(labels)} {one.count}\n" if is_counter else _histogram(name, labels, one)


def _histogram(name: str, labels: Mapping[str, str], series: _Series) -> str:
    below, rows = 0, []
    for place, bound in enumerate((*_BOUNDS, None)):
        below += series.buckets[place]
        rows.append(f"{name}_bucket{_labels({**labels, 'le': '+Inf' if bound is None else str(bound)})} {below}\n")
    ends = f"{name}_sum{_labels(labels)} {series.sum}\n{name}_count{_labels(labels)} {series.count}\n"
    return "".join(rows) + ends


def _labels(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
