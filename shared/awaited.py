"""What a function had the cloud do and did not wait for, told as spans once it has ended.

ordered ─── waiting for a machine ───► began ─── work ───► ended

Both are below the span of the function that ordered it. Whoever records the end tells it; told twice, it is the same
span.
"""

from datetime import datetime

from shared.ledger import Record
from shared.spans import Span
from shared.step import Step
from shared.trace import continued


def tell(
    name: str, ordered: Record, began: datetime | None, ended: datetime | None, step: Step, outcome: str = "done"
) -> None:
    """Exports the work of this name, and apart from it its waiting if anybody knows when it began.

    Where nobody says when it ended, that is now.
    """
    trace = step.log.traceparent
    if trace is None or ordered.origin is None:
        return
    parent = continued(trace, ordered.by, ordered.origin.event)
    start = max(began or ordered.at, ordered.at)
    parts = [(name, start, max(ended or step.cloud.now(), start), outcome)]
    if began is not None:
        parts.append((f"{name}: waiting", ordered.at, start, "done"))
    known = {"serin.model": step.log.model, "serin.run": step.log.run}
    attributes = {key: value for key, value in known.items() if value is not None}
    for part, since, until, how in parts:
        own = continued(parent, part, ordered.key)
        step.cloud.spans.export(Span(part, own, parent, since, until, how, attributes))


def iso(moment: datetime | None) -> str | None:
    """As a record keeps it."""
    return moment.isoformat() if moment else None
