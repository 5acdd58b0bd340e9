"""What a soak tells: one JSON, one page, and whether it passed. Pure but for the two files it writes."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.soak_growth import BOUND, Growth
from tests.e2e.soak_points import Points

LEAST_OCCASIONS = 20
"""A point that was passed in so many stretches of ten seconds must have been hit, if the soak was long."""
LONG_MINUTES = 15.0
_SIDE, _HEIGHT, _EDGE = 340, 200, 36


@dataclass
class Report:
    """What was asked for, done, survived and measured."""

    runs_wanted: int
    uploads_wanted: int
    minutes_wanted: float
    seconds: dict[str, float] = field(default_factory=dict)
    runs_ended: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    rollouts: dict[str, int] = field(default_factory=dict)
    uploads_dropped: int = 0
    uploads_recorded: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    points: dict[str, tuple[int, int]] = field(default_factory=dict)
    points_missed: list[str] = field(default_factory=list)
    duplicates: int = 0
    reorderings: int = 0
    refusals: int = 0
    runs_per_minute: float = 0.0
    drops_per_second: float = 0.0
    uploads_per_second: float = 0.0
    memory_peak_mebibytes: float = 0.0
    memory_peak_by_kind: dict[str, float] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)
    processor_seconds: dict[str, float] = field(default_factory=dict)
    growths: list[Growth] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def deaths(self) -> int:
        """How often a function died at a named point."""
        return sum(hits for hits, _ in self.points.values())

    def take_points(self, points: Points) -> None:
        """How often each point was hit, and passed."""
        known = sorted({*points.passed, *points.hits}, key=str)
        self.points = {str(each): (points.hits[each], points.passed[each]) for each in known}
        self.points_missed = [str(each) for each in points.missed(LEAST_OCCASIONS)]

    def failures(self) -> list[str]:
        """Everything for which the soak has not passed; nothing if it has."""
        short = [
            *([f"{self.runs_ended} of {self.runs_wanted} runs ended in time"] * (self.runs_ended < self.runs_wanted)),
            *(
                [f"{self.uploads_dropped} of {self.uploads_wanted} uploads were dropped in time"]
                * (self.uploads_dropped < self.uploads_wanted)
            ),
            *(f"unfinished: {each}" for each in self.unfinished),
        ]
        grown = [
            f"{each.what}: the last third cost {each.factor:.2f} times the first, more than {BOUND}"
            for each in self.growths
            if not each.linear
        ]
        unhit = [f"nobody died {point}" for point in self.points_missed] if self.minutes_wanted >= LONG_MINUTES else []
        return [*(f"broken: {rule}" for rule in self.broken), *short, *grown, *unhit, *self.trouble]

    def to_json(self) -> dict[str, Any]:
        more = {"deaths": self.deaths, "failures": self.failures(), "passed": not self.failures()}
        return {**more, **asdict(self), "growth_factors": {each.what: round(each.factor, 3) for each in self.growths}}

    def write(self, folder: Path) -> None:
        """`report.json` and `report.html`."""
        (folder / "report.json").write_text(json.dumps(self.to_json(), indent=1))
        (folder / "report.html").write_text(page(self))

    def lines(self) -> list[str]:
        """The whole in a few lines."""
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        rollouts = ", ".join(f"{count} {name}" for name, count in sorted(self.rollouts.items()))
        return [
            f"runs      {self.runs_ended} of {self.runs_wanted} ended, {self.runs_per_minute:.1f} a minute: {outcomes}",
            f"rollouts  {rollouts}",
            f"uploads   {self.uploads_dropped} of {self.uploads_wanted} dropped, {self.drops_per_second:.0f} a second; "
            f"{self.uploads_recorded} recorded, the first 95 % of them {self.uploads_per_second:.1f} a second",
            f"survived  {self.deaths} deaths at {sum(hits > 0 for hits, _ in self.points.values())} of "
            f"{len(self.points)} named points, {sum(self.kills.values())} processes killed at random, "
            f"{self.restarts} restarts of the whole cloud",
            f"          {self.duplicates} duplicates, {self.reorderings} reorderings, {self.refusals} refusals",
            f"memory    {self.memory_peak_mebibytes:.0f} MiB at most, all processes together",
            *(_told(each) for each in self.growths),
            "seconds   " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.seconds.items()),
        ]


def _told(growth: Growth) -> str:
    if not growth.operations:
        return f"{growth.what}: too few to tell"
    thirds = " → ".join(f"{each:.1f}" for each in growth.operations)
    listed = " → ".join(f"{each:.1f}" for each in growth.listed)
    doubt = "" if growth.enough and growth.judged else " (not judged)"
    return f"{growth.what}: {thirds} operations, factor {growth.factor:.2f}{doubt}; {listed} names listed"


def page(report: Report) -> str:
    """The report as one page that needs nothing else."""
    failures = report.failures()
    verdict = "passed" if not failures else "NOT passed"
    tables = [
        _table("Named points", ("point", "died there", "passed"), [(n, *v) for n, v in report.points.items()]),
        _table("Killed at random", ("process", "times"), report.kills.items()),
        _table("Memory at most, MiB", ("process", "MiB"), report.memory_peak_by_kind.items()),
        _table("Processor time, s", ("process", "s"), report.processor_seconds.items()),
    ]
    charts = [chart(each.what, "operations", each.line) for each in report.growths if each.line]
    charts.append(chart("memory over time", "MiB", report.memory))
    return "\n".join(
        [
            "<!doctype html><meta charset=utf-8><title>Soak</title>",
            "<style>body{font:15px sans-serif;margin:2em;max-width:75em}table{border-collapse:collapse;margin:1em 0}"
            "td,th{padding:.1em .8em;text-align:left;border-bottom:1px solid #ddd}svg{margin:.5em}</style>",
            f"<h1>Soak: {verdict}</h1>",
            "".join(f"<p><b>{html.escape(each)}</b></p>" for each in failures),
            f"<pre>{html.escape(chr(10).join(report.lines()))}</pre>",
            "<p>A straight line: what is done grows as what is asked for.</p>",
            *charts,
            *tables,
        ]
    )


def _table(title: str, heads: Sequence[str], rows: Any) -> str:
    told = "".join(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h2>{title}</h2><table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{told}</table>"


def chart(title: str, unit: str, line: Sequence[tuple[float, float]]) -> str:
    """A line as SVG, from nothing to its highest values."""
    right, top = max((x for x, _ in line), default=1) or 1, max((y for _, y in line), default=1) or 1
    points = " ".join(
        f"{_EDGE + x / right * _SIDE:.1f},{_EDGE + _HEIGHT - y / top * _HEIGHT:.1f}" for x, y in [(0, 0), *line]
    )
    width, height, floor = _SIDE + 2 * _EDGE, _HEIGHT + 2 * _EDGE, _EDGE + _HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="12">'
        f'<text x="{_EDGE}" y="20">{html.escape(title)}: {top:,.0f} {unit} at {right:,.0f}</text>'
        f'<path d="M{_EDGE} {_EDGE}V{floor}H{_EDGE + _SIDE}" fill="none" stroke="#999"/>'
        f'<polyline points="{points}" fill="none" stroke="#1a7f37" stroke-width="2"/></svg>'
    )


def rollouts_told(records: Mapping[str, Any]) -> dict[str, int]:
    """How the rollouts ended: promoted, superseded by the next while it baked, rolled back, inconclusive, going on."""
    found: dict[str, int] = {}
    for key in records:
        if key.startswith("rollouts/") and key.endswith("/opened"):
            how = _fate(records.get(f"{key.removesuffix('/opened')}/verdict"))
            found[how] = found.get(how, 0) + 1
    return found


def _fate(verdict: Any) -> str:
    if verdict is None:
        return "still baking"
    data = verdict["data"]
    if data["decision"] == "rollback":
        return "inconclusive" if data.get("inconclusive") else "rolled back"
    return "superseded while baking" if data["by"] == "the next rollout" else "promoted"
