"""Which version served which share of a model's traffic at any moment, why, and who said so: read off the rollouts.

A share counts from the moment in which it was seen on the endpoint; what was ordered and not seen has served nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.errors import BadInput
from shared.ids import ModelName
from shared.ledger import Ledger, Record
from shared.rollouts import ALL, Rollout, last_rollout, load


@dataclass(frozen=True)
class Stretch:
    """A time with one split: percent by version, from `since` until the next one (None: to this day)."""

    since: datetime
    until: datetime | None
    split: dict[str, int]
    rollout: int
    why: tuple[str, ...]
    by: str

    def to_json(self) -> dict[str, Any]:
        since, until = (each.isoformat(timespec="seconds") if each else None for each in (self.since, self.until))
        return {**self.__dict__, "since": since, "until": until, "why": list(self.why)}


def history(ledger: Ledger, model: ModelName) -> list[Stretch]:
    """Every stretch of a model's traffic, oldest first; none before its first version was live."""
    numbers = range(1, last_rollout(ledger, model) + 1)
    found = sorted(
        (each for number in numbers for each in _of_rollout(load(ledger, model, number))), key=lambda each: each.since
    )
    ends = [*(each.since for each in found[1:]), None]
    return [Stretch(**{**each.__dict__, "until": end}) for each, end in zip(found, ends, strict=True)]


def at(stretches: list[Stretch], moment: datetime) -> list[Stretch]:
    """The stretch that a moment lies in; none before the first."""
    return [each for each in stretches if each.since <= moment and (each.until is None or moment < each.until)]


def moment_of(text: str) -> datetime:
    """A time as people write it, ISO 8601; without a zone it is local. Raises BadInput."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise BadInput("time", [f"{text!r} is not like 2026-01-31T12:00:00"]) from error


def _of_rollout(rollout: Rollout) -> Iterator[Stretch]:
    for shifted in rollout.shifted:
        by, why = _said(rollout, shifted)
        split = {_version(rollout, name): int(share) for name, share in shifted.data["split"].items() if share}
        yield Stretch(shifted.at, None, split, rollout.number, why, by)
    if rollout.decision == "rollback" and rollout.end and rollout.verdict and rollout.shifted and rollout.base:
        asked = rollout.verdict.data
        everything = {_version(rollout, rollout.base.id): ALL}
        yield Stretch(rollout.end.at, None, everything, rollout.number, (asked["because"],), asked["by"])


def _said(rollout: Rollout, shifted: Record) -> tuple[str, tuple[str, ...]]:
    """Who ordered a step and why."""
    name = shifted.key.rsplit("/", 1)[-1]
    order = next((each for each in rollout.ordered if each.key.endswith(name)), None)
    if rollout.returns is not None:
        asked = rollout.opened.data
        return asked["by"], (asked["because"], f"a return from rollout {rollout.returns}")
    first = "its first step" if rollout.base else "the first model has nothing to be compared with"
    reasons = tuple(order.data.get("reasons") or (first,)) if order else ()
    return (order or shifted).by, reasons


def _version(rollout: Rollout, deployed: str) -> str:
    arms = [arm for arm in (rollout.candidate, rollout.base) if arm is not None]
    return next((arm.version.rsplit("@", 1)[-1] for arm in arms if arm.id == deployed), f"deployment {deployed}")
