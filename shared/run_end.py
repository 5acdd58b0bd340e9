"""A run's one end: how it came out, who says so, and the notice that tells people. First create wins."""

from collections.abc import Sequence
from typing import Literal

from shared.events import Event, Notification
from shared.ids import RunId, run_parts
from shared.ledger import Outcome

Ending = Literal["live", "rejected", "failed", "rolled back", "tested"]
_MAX_TITLE = 200
_SEVERITY: dict[Ending, Literal["info", "warning", "error"]] = {
    "live": "info",
    "rejected": "warning",
    "failed": "error",
    "rolled back": "warning",
    "tested": "info",
}


def run_end(
    run: RunId, outcome: Ending, by: str, title: str, reasons: Sequence[str], *follow: Event,
    set_aside: bool = False, wanted: str | None = None, link: str | None = None,
) -> Outcome:  # fmt: skip
    """The record of a run's end with its notice, and whatever else follows from it.

    `set_aside` says that later runs do not train on its rows; `wanted` is what the reader of the notice can do next,
    `link` what he can open.
    """
    notice = Notification(
        model=run_parts(run)[0], run=run, severity=_SEVERITY[outcome], title=title[:_MAX_TITLE], why=tuple(reasons),
        next=wanted, link=link,
    )  # fmt: skip
    data = {"outcome": outcome, "by": by, "reasons": list(reasons), "set_aside": set_aside}
    return Outcome(data, (notice, *follow))
