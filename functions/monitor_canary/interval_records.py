"""Where a rollout's evidence stands, and which of its intervals was closed last, found without listing them."""

from collections.abc import Callable

from shared.events import EvidenceReported
from shared.ids import ModelName
from shared.ledger import Ledger, Record, rollout_key

WAITING = ("not_enough", "label_starved", "split_suspect")
"""Verdicts after which nothing is to be done but to go on watching."""
FINAL = ("roll_back", "silent", "out_of_time")
"""Verdicts after which nothing more is judged."""


def interval_key(model: ModelName, rollout: int, number: int) -> str:
    return rollout_key(model, rollout, f"intervals/{number:012d}")


def reports_prefix(model: ModelName, rollout: int, number: int) -> str:
    return rollout_key(model, rollout, f"reports/{number:012d}/")


def late_prefix(model: ModelName, rollout: int, number: int) -> str:
    return rollout_key(model, rollout, f"late/{number:012d}/")


def report_key(event: EvidenceReported, rollout: int, arm: str) -> str:
    return f"{reports_prefix(event.model, rollout, event.interval)}{arm}/{event.reporter}"


def number_of(record: Record) -> int:
    """The interval that a record closes."""
    return int(record.key.rsplit("/", 1)[-1])


def last_closed(ledger: Ledger, model: ModelName, rollout: int, first: int, due: int) -> Record | None:
    """The record of the last closed interval below `due`; None when none is.

    Intervals are closed without a gap from `first` on, so the last one is found by halving: in the usual case, where
    only the newest is missing, with two reads.
    """

    def closed(number: int) -> Record | None:
        return ledger.find(interval_key(model, rollout, number))

    return _gallop(closed, first, due - 1) if due > first else None


def _gallop(closed: Callable[[int], Record | None], first: int, newest: int) -> Record | None:
    found, missing, back = closed(newest), newest + 1, 1
    while found is None:
        missing = max(first, newest - back + 1)
        if missing == first:
            return None
        back = back * 2
        low = max(first, newest - back + 1)
        found = closed(low)
    while number_of(found) + 1 < missing:
        middle = (number_of(found) + missing) // 2
        standing = closed(middle)
        found, missing = (standing, missing) if standing else (found, middle)
    return found
