"""Deliveries as Pub/Sub may make them and seldom does: twice although the first was taken, and one past another.

A share of each is asked for when the service is started; each that happens is a line in a file, which outlives a kill.
"""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

MOST_DUPLICATES = 0.5
"""A message that comes again every second time reaches the end of its attempts once in a million."""


@dataclass(frozen=True)
class Faults:
    """Shares between 0 and 1: of taken messages that come again, and of messages held back for up to `seconds`."""

    duplicates: float = 0.0
    reorderings: float = 0.0
    seconds: float = 1.0
    told: Path | None = None
    chance: random.Random = field(default_factory=random.Random, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.duplicates <= MOST_DUPLICATES or not 0 <= self.reorderings <= 1 or self.seconds < 0:
            raise ValueError(f"duplicates up to {MOST_DUPLICATES:g}, reorderings up to 1, seconds from 0")

    def again(self) -> bool:
        """Whether a message that was taken shall come once more."""
        return self._happens(self.duplicates, "duplicate")

    async def hold_back(self) -> None:
        """Lets others go first, for a share of the messages."""
        if self._happens(self.reorderings, "reordering"):
            await asyncio.sleep(self.chance.uniform(0, self.seconds))

    def _happens(self, share: float, what: str) -> bool:
        happens = share > 0 and self.chance.random() < share
        if happens and self.told is not None:
            with self.told.open("a") as file:
                file.write(f"{what}\n")
        return happens


NO_FAULTS = Faults()


def faults_of(words: str, folder: Path) -> Faults:
    """The faults that `duplicates=0.2,reorderings=0.2,seconds=2` asks for; ValueError for anything else."""
    given = dict(word.split("=", 1) for word in words.split(",") if word)
    if unknown := set(given) - {"duplicates", "reorderings", "seconds"}:
        raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}")
    shares = {name: float(value) for name, value in given.items()}
    return Faults(
        shares.get("duplicates", 0.0), shares.get("reorderings", 0.0), shares.get("seconds", 1.0), folder / "faults.txt"
    )
