"""Every way that a run can go: a run is a list of choices, the next run takes another branch of one of them.

A failure is its list of choices: `replay([0, 2, 1])` is the same run again.
"""

import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_MOST_WAITING = 100_000
"""Branches drawn by chance leave more and more behind them; beyond this, depth first keeps memory in bounds."""


class PrunedError(BaseException):
    """A run that has come to where another run has been before."""


@dataclass
class Choices:
    """The choices of one run: a given prefix, then always the first branch; without `seen` nothing is pruned."""

    prefix: Sequence[int]
    seen: set[Hashable] | None = None
    taken: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)

    def pick(self, bound: int, state: Callable[[], Hashable]) -> int:
        """One of `bound` branches. Raises PrunedError beyond the prefix where an equal state was met before."""
        place = len(self.taken)
        if place < len(self.prefix):
            choice = self.prefix[place]
        else:
            self._see(state)
            choice = 0
        self.taken.append(choice)
        self.bounds.append(bound)
        return choice

    def _see(self, state: Callable[[], Hashable]) -> None:
        if self.seen is None:
            return
        key = state()
        if key in self.seen:
            raise PrunedError
        self.seen.add(key)

    def others(self) -> Iterator[list[int]]:
        """The prefixes of the branches that this run was the first to see and did not take."""
        for place in range(len(self.prefix), len(self.taken)):
            for branch in range(1, self.bounds[place]):
                yield [*self.taken[:place], branch]


@dataclass
class Explored:
    """What an exploration came to: how many runs, how many different states, the runs that went wrong, and how many
    branches were known and not taken when it was stopped."""

    runs: int = 0
    states: int = 0
    failures: list[tuple[list[int], str]] = field(default_factory=list)
    left: int = 0


def written(taken: Mapping[int, int]) -> str:
    """A list of choices as Python, short where the first branch was taken again and again."""
    parts, end = [], 0
    for place, choice in sorted((place, choice) for place, choice in taken.items() if choice):
        parts += [f"*[0] * {place - end}"] * (place > end) + [str(choice)]
        end = place + 1
    return f"[{', '.join(parts)}]"


def explore(
    run: Callable[[Choices], str], most_runs: int, most_failures: int = 1, over: Callable[[], bool] | None = None,
    chance: random.Random | None = None,
) -> Explored:  # fmt: skip
    """Runs every branch; `run` answers what went wrong, or nothing. Raises RuntimeError beyond `most_runs`.

    Where time is limited, `over` stops it, and `chance` draws the next branch of all that wait, so that what was tried
    until then is of everywhere.
    """
    seen: set[Hashable] = set()
    waiting: list[list[int]] = [[]]
    found = Explored()
    while waiting and not (over is not None and over()):
        choices = Choices(_next(waiting, chance), seen)
        found.runs += 1
        if found.runs > most_runs:
            raise RuntimeError(f"more than {most_runs} runs, {len(seen)} states")
        try:
            wrong = run(choices)
        except PrunedError:
            wrong = ""
        waiting.extend(choices.others())
        if wrong:
            found.failures.append((choices.taken, wrong))
            if len(found.failures) >= most_failures:
                break
    found.states, found.left = len(seen), len(waiting)
    return found


def _next(waiting: list[list[int]], chance: random.Random | None) -> list[int]:
    """The branch that was seen last; or one by chance, as long as so many may wait."""
    if chance is not None and len(waiting) < _MOST_WAITING:
        place = chance.randrange(len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
    return waiting.pop()
