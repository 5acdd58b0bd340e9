"""The report's pictures, each from the numbers that `report.json` holds too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from shared.evaluation import Difference, MetricComparison
from training_image.report.drawing import COLOURS, Frame, dots, line, plot, square, stroke, svg, text
from training_image.report.findings import Bin, Confusion, Curve, Importance

_GOOD, _BAD, _QUIET = "#66a182", "#d1495b", "#9a9a9a"
_UNIT = (0.0, 1.0)
_ROW = 24
_NAMES = 230
_BARS = 300
_NUMBERS = 150


def confusion(found: Confusion) -> str:
    """A square per pair of true label and answer, the darker the larger the share of its true label."""
    cell = max(14, min(44, 420 // len(found.labels)))
    left, top = 90, 34
    size = cell * len(found.labels)
    return svg(
        left + size + 10, top + size + 10, _cells(found, cell, left, top), "how often which label got which answer"
    )


def _cells(found: Confusion, cell: int, left: int, top: int) -> Iterator[str]:
    yield text(left + cell * len(found.labels) / 2, 12, "answer", "middle", 12)
    for row, (label, counts) in enumerate(zip(found.labels, found.counts, strict=True)):
        yield text(left - 6, top + row * cell + cell / 2 + 4, label[:12], "end")
        yield text(left + row * cell + cell / 2, top - 6, label[: max(1, cell // 7)], "middle")
        for column, count in enumerate(counts):
            x, y = left + column * cell, top + row * cell
            share = count / (sum(counts) or 1)
            yield square(x, y, cell - 1, cell - 1, COLOURS[0] if row == column else _BAD, max(share, 0.04))
            if count and cell >= 20:
                yield text(x + cell / 2, y + cell / 2 + 4, str(count), "middle", 10, "#fff" if share > 0.5 else "#333")


def calibration(bins: Sequence[Bin]) -> str:
    """Confidence against the share of right answers, larger dots for more rows; on the dashed line both agree."""
    frame = Frame(_UNIT, _UNIT, "confidence of the answer", "share of right answers")
    rows = sum(one.rows for one in bins) or 1
    shapes = [
        dots(frame, [(one.confidence, one.right)], COLOURS[0], 2 + 8 * math.sqrt(one.rows / rows)) for one in bins
    ]
    path = line(frame, [(one.confidence, one.right) for one in bins], COLOURS[0])
    return plot(frame, line(frame, [(0, 0), (1, 1)], _QUIET, dashed=True), path, *shapes, title="calibration")


def roc(curves: Sequence[Curve]) -> str:
    """Recall against the share of the other rows that are taken for the label."""
    frame = Frame(_UNIT, _UNIT, "false positive rate", "recall")
    lines = [
        line(frame, list(zip(one.false_positive, one.recall, strict=True)), COLOURS[number % len(COLOURS)])
        for number, one in enumerate(curves)
    ]
    return plot(frame, line(frame, [(0, 0), (1, 1)], _QUIET, dashed=True), *lines, title="ROC curve")


def precision_recall(curves: Sequence[Curve]) -> str:
    """Precision against recall."""
    frame = Frame(_UNIT, _UNIT, "recall", "precision")
    lines = [
        line(frame, list(zip(one.recall, one.precision, strict=True)), COLOURS[number % len(COLOURS)])
        for number, one in enumerate(curves)
    ]
    return plot(frame, *lines, title="precision and recall")


def answered(pairs: Sequence[tuple[float, float]]) -> str:
    """The true value against the answer; on the dashed line, both are the same."""
    ends = [number for pair in pairs for number in pair]
    both = (min(ends), max(ends))
    frame = Frame(both, both, "true value", "answer")
    diagonal = line(frame, [(both[0], both[0]), (both[1], both[1])], _QUIET, dashed=True)
    return plot(frame, diagonal, dots(frame, pairs, COLOURS[0], 2.5, 0.6), title="true values and answers")


def residuals(pairs: Sequence[tuple[float, float]]) -> str:
    """The answer against its error."""
    points = [(answer, answer - truth) for truth, answer in pairs]
    across = (min(x for x, _ in points), max(x for x, _ in points))
    most = max(abs(y) for _, y in points) or 1.0
    frame = Frame(across, (-most, most), "answer", "error")
    shapes = (
        line(frame, [(across[0], 0), (across[1], 0)], _QUIET, dashed=True),
        dots(frame, points, COLOURS[0], 2.5, 0.6),
    )
    return plot(frame, *shapes, title="errors")


def importance(found: Sequence[Importance], metric: str) -> str:
    """A bar per feature: what is lost without it."""
    most = max((abs(one.loss) for one in found), default=0.0) or 1.0
    shapes = []
    for row, one in enumerate(found):
        y = 6 + row * _ROW
        length = max(one.loss, 0) / most * _BARS
        shapes += [
            text(_NAMES - 8, y + 14, one.feature[:36], "end"),
            square(_NAMES, y + 3, max(length, 1), _ROW - 8, COLOURS[0]),
            text(_NAMES + length + 6, y + 14, f"{one.loss:.3g}"),
        ]
    return svg(_NAMES + _BARS + 70, 12 + len(found) * _ROW, shapes, f"what {metric} loses without each feature")


def gains(compared: Sequence[tuple[str, Difference]], title: str) -> str:
    """A line per comparison: the gain and its interval, better to the right of the middle."""
    ends = [abs(end) for _, gain in compared for end in (gain.estimate, gain.low, gain.high) if end is not None]
    most = max(ends, default=0.0) or 1.0
    middle = _NAMES + _BARS / 2
    height = 34 + len(compared) * _ROW
    shapes = [stroke((middle, 20), (middle, height - 10), _QUIET), text(middle, 14, "worse ◂  ▸ better", "middle")]
    for row, (name, gain) in enumerate(compared):
        shapes += _gain(name, gain, 24 + row * _ROW, middle, _BARS / 2 / most)
    return svg(_NAMES + _BARS + _NUMBERS, height, shapes, title)


def _gain(name: str, gain: Difference, y: float, middle: float, scale: float) -> Iterator[str]:
    yield text(_NAMES - 8, y + 12, name[:36], "end")
    if gain.estimate is None:
        yield text(middle + 6, y + 12, "unknown", colour=_QUIET)
        return
    colour = _QUIET
    numbers = f"{gain.estimate:+.4f}"
    if gain.low is not None and gain.high is not None:
        colour = _GOOD if gain.low > 0 else _BAD if gain.high < 0 else _QUIET
        yield stroke((middle + gain.low * scale, y + 8), (middle + gain.high * scale, y + 8), colour, 3)
        numbers += f" ({gain.low:+.3f} … {gain.high:+.3f})"
    x = middle + gain.estimate * scale
    yield f'<circle cx="{x:.1f}" cy="{y + 8:.1f}" r="5" fill="{colour}"/>'
    yield text(_NAMES + _BARS + 6, y + 12, numbers, size=10)


def told(comparisons: Sequence[MetricComparison]) -> list[tuple[str, Difference]]:
    """The comparisons as gains by name; relative ones are shares."""
    return [(f"{one.metric}{' (share)' if one.relative else ''}", one.gain) for one in comparisons]
