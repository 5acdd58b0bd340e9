"""The waterfall of a run: what each function waited for and worked on, what the cloud did, how long it was watched.

said ░░░ began ███ recorded        a function: the event under way (░), then its work (█)
ordered ░░░ began ▒▒▒▒▒▒▒ ended    the cloud: a training job, an upload to the registry, a deployment
shifted ·········· decided         a canary at its share of the traffic
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cli.reading import timeline
from shared.ids import RunId
from shared.ledger import Ledger, Record

Kind = Literal["function", "cloud", "watch"]
ROLLOUT_END = "rollout's end"
_HIDDEN = re.compile(r"(intervals|reports|late)/")
# What a record set going, and the record that stands once it has ended.
_AWAITED: tuple[tuple[str, str, str, Kind], ...] = (
    (r"job-(\d+)", r"decision|failed-{0}", "training job", "cloud"),
    (r"upload()", r"version", "upload to the registry", "cloud"),
    (r"staging()", r"staged", "deployment for staging", "cloud"),
    (r"deployment()", r"steps/000001", "deployment of the canary", "cloud"),
    (r"shifted/(\d+)", r"(steps/(?!0*{0}$)\d+|verdict|rollout's end)", "canary watched", "watch"),
)
_FILL = {"function": "█", "cloud": "▒", "watch": "·"}


@dataclass(frozen=True)
class Bar:
    """Something that took time: waited for from `since` on, done from `began` to `ended`."""

    name: str
    by: str
    kind: Kind
    since: datetime
    began: datetime
    ended: datetime

    @property
    def waiting_seconds(self) -> float:
        return max(0.0, (self.began - self.since).total_seconds())

    @property
    def working_seconds(self) -> float:
        return max(0.0, (self.ended - self.began).total_seconds())


def bars(ledger: Ledger, run: RunId) -> list[Bar]:
    """Everything of a run that took time, in the order of its beginning; raises BadInput when there is no such run."""
    records = [(name_of(record), record) for record in timeline(ledger, run)]
    shown = [(name, record) for name, record in records if not _HIDDEN.match(name)]
    awaited = dict(_awaited(shown))
    own = [_own(name, record, awaited.get(record.key)) for name, record in shown if record.origin is not None]
    return sorted([*own, *awaited.values()], key=lambda bar: (bar.since, bar.ended))


def name_of(record: Record) -> str:
    """A record's name within its run or its rollout, both of which have an end."""
    if record.key.count("/") <= 2:
        return "window"
    kind, _, _, name = record.key.split("/", 3)
    return ROLLOUT_END if (kind, name) == ("rollouts", "end") else name


def to_json(bar: Bar) -> dict[str, Any]:
    """A bar for programs; times in RFC 3339."""
    times = {"since": bar.since.isoformat(), "began": bar.began.isoformat(), "ended": bar.ended.isoformat()}
    seconds = {"waiting_seconds": bar.waiting_seconds, "working_seconds": bar.working_seconds}
    return {"name": bar.name, "by": bar.by, "kind": bar.kind, **times, **seconds}


def drawn(found: Sequence[Bar], width: int) -> Iterator[tuple[str, str, str, str]]:
    """Each bar as (name, by, picture, seconds); the picture is `width` characters from the first moment to the last."""
    first, last = min(bar.since for bar in found), max(bar.ended for bar in found)
    whole = max((last - first).total_seconds(), 1e-9)

    def place(moment: datetime) -> int:
        return min(width - 1, int(width * (moment - first).total_seconds() / whole))

    for bar in found:
        since, began, ended = place(bar.since), place(bar.began), place(bar.ended)
        work = _FILL[bar.kind] * (ended - began + 1)
        picture = f"{' ' * since}{'░' * (began - since)}{work}"
        waited = f"{bar.waiting_seconds:.2f} + " if bar.kind == "function" or bar.waiting_seconds else ""
        yield bar.name, bar.by, picture.ljust(width), f"{waited}{bar.working_seconds:.2f} s"


def summary(found: Sequence[Bar]) -> str:
    """The whole in one line: bars may overlap, so their sums need not be the time from first to last."""
    whole = (max(bar.ended for bar in found) - min(bar.since for bar in found)).total_seconds()
    functions = [bar for bar in found if bar.kind == "function"]
    sums = {
        "functions at work": sum(bar.working_seconds for bar in functions),
        "events under way": sum(bar.waiting_seconds for bar in functions),
        "the cloud": _working(found, "cloud"),
        "waiting for its machines": sum(bar.waiting_seconds for bar in found if bar.kind == "cloud"),
        "watched": _working(found, "watch"),
    }
    return f"{whole:.1f} s in all; " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sums.items())


def _working(found: Iterable[Bar], kind: Kind) -> float:
    return sum(bar.working_seconds for bar in found if bar.kind == kind)


def _own(name: str, record: Record, awaited: Bar | None) -> Bar:
    """A function's work; what it had to await is not its event's way."""
    origin = record.origin
    assert origin is not None
    said = origin.said or origin.began
    return Bar(name, record.by, "function", max(said, awaited.ended) if awaited else said, origin.began, record.at)


def _awaited(records: Sequence[tuple[str, Record]]) -> Iterator[tuple[str, Bar]]:
    """What was awaited, each with the key of the record that ended it."""
    for name, record in records:
        for pattern, ended_by, told, kind in _AWAITED:
            if started := re.fullmatch(pattern, name):
                later = [(other, end) for other, end in records if end.at >= record.at and end is not record]
                wanted = ended_by.format(started[1].lstrip("0"))
                end = next((end for other, end in later if re.fullmatch(wanted, other)), None)
                if end is not None:
                    began, ended = _began(record, end), _answered(record, end)
                    yield end.key, Bar(_told(told, record), "", kind, record.at, min(began, ended), ended)


def _told(told: str, record: Record) -> str:
    return f"{told} at {record.data['percent']} %" if "percent" in record.data else told


def _began(start: Record, end: Record) -> datetime:
    """When what was awaited had its machine, where that is known; clocks of two machines may differ a little."""
    began = end.data.get("began")
    return max(start.at, datetime.fromisoformat(began)) if began else start.at


def _answered(start: Record, end: Record) -> datetime:
    """When what was awaited had ended: what the cloud said of it, when that was said, or else when it was seen."""
    if ended := end.data.get("ended"):
        return max(start.at, datetime.fromisoformat(ended))
    if end.origin is None:
        return end.at
    return end.origin.said if end.origin.said and end.origin.said > start.at else end.origin.began
