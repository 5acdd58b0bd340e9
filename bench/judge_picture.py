"""The comparison of judges as a picture and a table, for people: docs/judge.svg and the table in docs/judge.md."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from bench.judge_traffic import Floats

DOCS = Path(__file__).parents[1] / "docs"
_BEGIN, _END = re.compile(r"<!-- made by `make bench .*`: begin -->"), "<!-- end -->"
_COLOURS = ("#1a7f37", "#b35900", "#6639ba", "#cf222e")
_DASHES = ("", "7 3", "2 3", "9 3 2 3")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 400, 240, 56, 64, 84


@dataclass(frozen=True)
class Panel:
    """One diagram: a curve of percentages per judge, one value per minute."""

    title: str
    axis: str
    last: float
    curves: Mapping[str, Floats]


def picture(panels: Sequence[Panel]) -> str:
    """The panels side by side, with one legend; the same numbers make the same text."""
    height = _TOP + _HEIGHT + 64
    width = 2 * _LEFT + len(panels) * _WIDTH + (len(panels) - 1) * _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_legend(list(panels[0].curves)),
    ]
    for place, panel in enumerate(panels):
        parts += _panel(panel, _LEFT + place * (_WIDTH + _GAP))
    return "\n".join([*parts, "</svg>", ""])


def keep_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Puts the table where the page has its place for it."""
    lines = ["| " + " | ".join(each) + " |" for each in (header, ["---"] * len(header), *rows)]
    text = path.read_text()
    begin = _BEGIN.search(text)
    assert begin is not None, f"{path.name} has no place for a table"
    _, _, after = text[begin.end() :].partition(_END)
    path.write_text("\n".join([text[: begin.end()], *lines, _END]) + after)


def _legend(names: Sequence[str]) -> list[str]:
    parts, left = [], _LEFT
    for name, colour, dash in zip(names, _COLOURS, _DASHES, strict=True):
        parts.append(_line([(left, 20), (left + 28, 20)], colour, dash))
        parts.append(f'<text x="{left + 34}" y="24" font-size="13">{escape(name)}</text>')
        left += 60 + 8 * len(name)
    return parts


def _panel(panel: Panel, left: int) -> list[str]:
    bottom = _TOP + _HEIGHT
    parts = [f'<text x="{left}" y="{_TOP - 12}" font-size="13" font-weight="bold">{escape(panel.title)}</text>']
    for percent in range(0, 101, 25):
        y = bottom - _HEIGHT * percent / 100
        parts.append(_line([(left, y), (left + _WIDTH, y)], "#d0d7de", ""))
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" font-size="11" text-anchor="end">{percent} %</text>')
    for quarter in range(5):
        x, value = left + _WIDTH * quarter / 4, panel.last * quarter / 4
        parts.append(f'<text x="{x:.0f}" y="{bottom + 18}" font-size="11" text-anchor="middle">{value:g}</text>')
    middle, axis = left + _WIDTH / 2, escape(panel.axis)
    parts.append(f'<text x="{middle:.0f}" y="{bottom + 38}" font-size="12" text-anchor="middle">{axis}</text>')
    for (_, curve), colour, dash in zip(panel.curves.items(), _COLOURS, _DASHES, strict=True):
        step = _WIDTH / (len(curve) - 1)
        points = [(left + step * place, bottom - _HEIGHT * value / 100) for place, value in enumerate(curve)]
        parts.append(_line(points, colour, dash, width=2))
    return parts


def _line(points: Sequence[tuple[float, float]], colour: str, dash: str, width: int = 1) -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'
