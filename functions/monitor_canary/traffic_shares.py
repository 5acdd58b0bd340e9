"""Which share of the traffic the candidate had in an interval, and in which intervals it was being changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from rollout_rules import interval_of

from shared.evidence_rules import EvidenceRules
from shared.ledger import Record
from shared.rollouts import Rollout


@dataclass(frozen=True)
class Share:
    """One step of the traffic: ordered in one interval, seen in another or not yet."""

    step: int
    percent: int
    ordered: int
    seen: int | None


@dataclass(frozen=True)
class Shares:
    """Every step of the traffic that was ordered."""

    steps: tuple[Share, ...]

    def at(self, interval: int) -> Share | None:
        """The step in force throughout an interval; None while the candidate was dark."""
        return next((each for each in reversed(self.steps) if each.seen is not None and each.seen < interval), None)

    def changing(self, interval: int) -> bool:
        """Whether the traffic was being changed in an interval: its evidence is of no share."""
        return any(each.ordered <= interval and (each.seen is None or interval <= each.seen) for each in self.steps)


def shares_of(rollout: Rollout, rules: EvidenceRules) -> Shares:
    """The steps as the ledger holds them. What was seen but never ordered counts as ordered when it was seen."""
    ordered, seen = _intervals(rollout.ordered, rules), _intervals(rollout.shifted, rules)
    percents = {_step(record): int(record.data["percent"]) for record in (*rollout.ordered, *rollout.shifted)}
    return Shares(
        tuple(
            Share(step, percent, ordered.get(step, seen.get(step, 0)), seen.get(step))
            for step, percent in sorted(percents.items())
        )
    )


def _intervals(records: Sequence[Record], rules: EvidenceRules) -> dict[int, int]:
    return {_step(record): interval_of(record.at, rules) for record in records}


def _step(record: Record) -> int:
    return int(record.key.rsplit("/", 1)[-1])
