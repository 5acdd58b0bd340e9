"""Pictures as SVG text: lines, dots and squares in a frame with its scales; they are part of the page, not files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]
COLOURS = ("#1f6f8b", "#d1495b", "#66a182", "#edae49", "#5e548e", "#8d6a9f", "#2e4057", "#c97b63", "#4f9da6", "#7a7a7a")


@dataclass(frozen=True)
class Frame:
    """A plot's size in pixels and what its edges mean."""

    x: Point
    y: Point
    x_label: str
    y_label: str
    width: int = 360
    height: int = 300
    left: int = 56
    bottom: int = 44
    top: int = 10
    right: int = 12

    def at(self, point: Point) -> Point:
        """Where a point of the data is drawn."""
        across = (point[0] - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (point[1] - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        inner_width, inner_height = self.width - self.left - self.right, self.height - self.top - self.bottom
        return self.left + across * inner_width, self.height - self.bottom - up * inner_height


def plot(frame: Frame, *shapes: str, title: str) -> str:
    """A picture: the frame with five marks on each scale, and the shapes in it."""
    return svg(frame.width, frame.height, [*_scales(frame), *shapes], title)


def svg(width: int, height: int, shapes: Iterable[str], title: str) -> str:
    """A picture of this size; the title is what is read aloud."""
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>{"".join(shapes)}</svg>'
    )


def line(frame: Frame, points: Sequence[Point], colour: str, dashed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(frame.at, points))
    dashes = ' stroke-dasharray="4 4"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'


def dots(frame: Frame, points: Sequence[Point], colour: str, radius: float = 4, opacity: float = 1) -> str:
    return "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="{opacity}"/>'
        for x, y in map(frame.at, points)
    )


def square(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"'
        f' fill-opacity="{opacity:.3f}"/>'
    )


def text(x: float, y: float, said: str, anchor: str = "start", size: int = 11, colour: str = "#333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(said)}</text>'
    )


def stroke(start: Point, end: Point, colour: str, width: float = 1) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}"'
        f' stroke-width="{width}"/>'
    )


def _scales(frame: Frame) -> list[str]:
    shapes = []
    for step in range(5):
        x = frame.x[0] + (frame.x[1] - frame.x[0]) * step / 4
        y = frame.y[0] + (frame.y[1] - frame.y[0]) * step / 4
        (across, _), (_, up) = frame.at((x, frame.y[0])), frame.at((frame.x[0], y))
        shapes += [
            stroke((across, frame.top), (across, frame.height - frame.bottom), "#e6e6e6"),
            stroke((frame.left, up), (frame.width - frame.right, up), "#e6e6e6"),
            text(across, frame.height - frame.bottom + 15, f"{x:.3g}", "middle"),
            text(frame.left - 6, up + 4, f"{y:.3g}", "end"),
        ]
    middle = frame.top + (frame.height - frame.top - frame.bottom) / 2
    return [
        *shapes,
        text(frame.left + (frame.width - frame.left) / 2, frame.height - 8, frame.x_label, "middle", 12),
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" font-size="12" fill="#333" text-anchor="middle">'
        f"{escape(frame.y_label)}</text>",
    ]
