"""Every way that a run can go: a run is a list of choices, the next run takes another branch of one of them.

A failure is its list of choices: `replay([0, 2, 1])` is the same run again.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field


class PrunedError(BaseException):
    """A run that has come to where another run has been before."""


@dataclass
class Choices:
    """The choices of one run: a prefix that is given, then always the first branch."""

    prefix: Sequence[int]
    seen: set[Hashable]
    taken: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)

    def pick(self, bound: int, state: Callable[[], Hashable]) -> int:
        """One of `bound` branches. Raises PrunedError beyond the prefix where an equal state was met before."""
        place = len(self.taken)
        if place < len(self.prefix):
            choice = self.prefix[place]
        else:
            key = state()
            if key in self.seen:
                raise PrunedError
            self.seen.add(key)
            choice = 0
        self.taken.append(choice)
        self.bounds.append(bound)
        return choice

    def others(self) -> Iterator[list[int]]:
        """The prefixes of the branches that this run was the first to see and did not take."""
        for place in range(len(self.prefix), len(self.taken)):
            for branch in range(1, self.bounds[place]):
                yield [*self.taken[:place], branch]


@dataclass
class Explored:
    """What an exploration came to: how many runs, how many different states, and the runs that went wrong."""

    runs: int
    states: int
    failures: list[tuple[list[int], str]]


def explore(run: Callable[[Choices], str], most_runs: int, most_failures: int = 1) -> Explored:
    """Runs every branch; `run` answers what went wrong, or nothing. Raises RuntimeError beyond `most_runs`."""
    seen: set[Hashable] = set()
    waiting: list[list[int]] = [[]]
    found = Explored(0, 0, [])
    while waiting:
        choices = Choices(waiting.pop(), seen)
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
    found.states = len(seen)
    return found
