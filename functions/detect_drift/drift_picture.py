"""A histogram beside its baseline, in one line of text: people see it where they read the notice."""

from collections.abc import Sequence

_LEVELS = " ▁▂▃▄▅▆▇█"


def then_and_now(name: str, baseline: Sequence[int], now: Sequence[int]) -> str:
    """`name  then ▁▅█▂  now ▅█▂▁`: a character per bin, as high as the bin's share of the higher of both peaks."""
    shares = [[count / max(1, sum(counts)) for count in counts] for counts in (baseline, now)]
    peak = max(max(each, default=0.0) for each in shares) or 1.0
    then, later = ("".join(_level(share / peak) for share in each) for each in shares)
    return f"{name}  then {then}  now {later}"


def _level(height: float) -> str:
    return _LEVELS[0] if height <= 0 else _LEVELS[max(1, round(height * (len(_LEVELS) - 1)))]
