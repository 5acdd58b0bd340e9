"""Whether what is done grows as what is asked for: operations per thing in the first, second and third third. Pure."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.e2e.soak_points import Effect

BOUND = 1.25
"""How much more the last third may cost than the first; what grows with the history costs several times as much."""
ENOUGH = 30
"""Things below which a third is chance."""


@dataclass(frozen=True)
class Growth:
    """Operations, and names listed, per thing in each third of the things; `line` are totals at some of their times."""

    what: str
    things: int
    operations: tuple[float, ...]
    listed: tuple[float, ...]
    line: tuple[tuple[float, float], ...]
    judged: bool = True

    @property
    def factor(self) -> float:
        """What a thing of the last third cost as a multiple of one of the first."""
        return self.operations[-1] / self.operations[0] if self.operations and self.operations[0] else 0.0

    @property
    def enough(self) -> bool:
        return self.things >= ENOUGH

    @property
    def linear(self) -> bool:
        return not self.judged or not self.enough or 0 < self.factor <= BOUND


def growth(what: str, effects: Iterable[Effect], begun: float, marks: Sequence[float], judged: bool = True) -> Growth:
    """`marks` are the times at which the things were done; only what was done between `begun` and the last counts."""
    marks = sorted(marks)
    if len(marks) < 3:
        return Growth(what, len(marks), (), (), (), judged)
    done = sorted((each for each in effects if begun < each.at <= marks[-1]), key=lambda each: each.at)
    times = [each.at for each in done]
    ends = [len(marks) * third // 3 for third in (1, 2, 3)]
    cuts = [0, *(bisect_right(times, marks[end - 1]) for end in ends)]
    counts = [end - before for before, end in zip([0, *ends], ends, strict=False)]
    parts = [done[start:end] for start, end in pairwise(cuts)]

    def per_thing(measure: Callable[[Effect], int]) -> tuple[float, ...]:
        return tuple(
            round(sum(map(measure, part)) / count, 2) for part, count in zip(parts, counts, strict=True)
        )  # fmt: skip

    return Growth(
        what, len(marks), per_thing(lambda each: each.operations), per_thing(lambda each: each.listed),
        _line(done, times, marks), judged,
    )  # fmt: skip


def _line(done: Sequence[Effect], times: Sequence[float], marks: Sequence[float]) -> tuple[tuple[float, float], ...]:
    totals = [0]
    for each in done:
        totals.append(totals[-1] + each.operations)
    step = max(1, len(marks) // 60)
    return tuple((place + 1, totals[bisect_right(times, marks[place])]) for place in range(0, len(marks), step))
