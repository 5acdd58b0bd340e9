"""How far a piece of work outside has come: an operation that was started, or an order that was refused for now."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from staging_order import Order

from shared.errors import NotYet, Refused, SerinError
from shared.ledger import Record
from shared.serving import Operation
from shared.step import Step


@dataclass(frozen=True)
class Ready:
    """Done, and this is its name; `ended` where the operation tells when."""

    value: str
    ended: datetime | None = None


@dataclass(frozen=True)
class Pending:
    """Under way."""


@dataclass(frozen=True)
class Failed:
    """Never to be done."""

    reasons: tuple[str, ...]


Progress = Ready | Pending | Failed


def followed(
    started: Record, what: str, arrived: Ready | None, order: Order, ask: Callable[[str], Operation], step: Step
) -> Progress:
    """How far a recorded operation is; `arrived` is what it was to bring about, if that can be seen already."""
    operation = _operation(started.data["operation"], ask)
    if operation.done and arrived is not None:
        return replace(arrived, ended=operation.ended)
    if operation.done and operation.error:
        return Failed((f"{what} failed: {operation.error}",))
    return _overdue(started.key, what, order, step) or Pending()


def refused(error: SerinError, what: str, began: str, order: Order, step: Step) -> Failed:
    """The failure of an order that is still refused when its time is over; until then NotYet.

    One refusal is not the last word: Vertex AI also refuses what comes while another operation is under way.
    """
    late = _overdue(began, what, order, step)
    if late is None:
        raise NotYet(f"{what} of {order.run}: {error}") from error
    return Failed((*late.reasons, str(error)))


def first_claim(key: str) -> str:
    """Where the first attempt at a piece of work is recorded."""
    return f"{key}/claims/000001"


def _overdue(began: str, what: str, order: Order, step: Step) -> Failed | None:
    """Whether the record that began the work is older than allowed, by the bucket's own clock."""
    limit_seconds = order.serving.deploy_timeout_seconds
    first = step.ledger.store.stat(began)
    if first is None or step.ledger.server_now(began) - first.created < timedelta(seconds=limit_seconds):
        return None
    return Failed((f"{what} had not ended after {limit_seconds} s",))


def _operation(name: str | None, ask: Callable[[str], Operation]) -> Operation:
    if name is None:
        return Operation("", done=False)  # somebody else's: only what it brings about can be seen
    try:
        return ask(name)
    except Refused as refusal:
        # Forgotten means long done: what it has brought about is still to be seen.
        return Operation(name, done=refusal.absent)
