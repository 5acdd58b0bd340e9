"""What becomes of a run in a soak, by its number: told to the trainer, and to the people who answer and roll back."""

from typing import Literal

Fate = Literal["deployed", "left", "asked", "failed", "rejected"]
_FATES: dict[int, Fate] = {1: "deployed", 3: "asked", 6: "left", 8: "failed"}


def fate_of(number: int) -> Fate:
    """Of every ten runs six are rejected at once; two have a rollout, one is asked about, one fails."""
    return _FATES.get(number % 10, "rejected")
