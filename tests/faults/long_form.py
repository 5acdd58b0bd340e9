"""What `make faults` plays: more deliveries, more deaths, more faults, in rounds that go deeper and deeper.

A round of a situation is every run with at most so many switches from one delivery to another: 0, then 1, then 2, …,
until more switches make no more runs, and then it was exhausted. A round for which the time was too short is a sample:
its branches are drawn by chance, with a seed; it is begun anew when there is more time. A round of a story is as many
of all its single faults as there is time for, in an order drawn with a seed; of pairs of faults there is no end.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.wiring import FUNCTIONS
from tests.faults.exploration import explored_within
from tests.faults.faulting import Moment, Survived, faults_of, moments, pair, shuffled, silent, skewed, survived
from tests.faults.replaying import BESIDE, ETAGS_IGNORED, Exploration, situation
from tests.faults.scheduler import Budget
from tests.faults.stories import STORIES
from tests.faults.whole_run import Play

FIVE_MINUTES = 300.0
Over = Callable[[], bool]


@dataclass(frozen=True)
class Round:
    """What came of a round: what it was of, how many runs it had, whether those were all, what went wrong in them.

    `next` is where the next one begins; None when nothing is left to be tried.
    """

    told: str
    runs: int
    whole: bool
    next: int | None
    wrong: list[str] = field(default_factory=list)


class Subject(Protocol):
    """Something to be explored, in rounds; each is cheap to send to another process."""

    @property
    def name(self) -> str: ...

    def round(self, at: int, over: Over) -> Round:
        """A round that begins at 0, or where the one before says that the next one begins."""


@dataclass(frozen=True)
class Situated:
    """A situation, deeper with every round."""

    exploration: Exploration

    @property
    def name(self) -> str:
        budget, copies = self.exploration.budget, self.exploration.copies
        parts = [f"{copies} deliveries"] if copies else []
        parts += [f"{count} {what}" for what, count in _faults(budget) if count]
        return ", ".join([self.exploration.name, *parts])

    def round(self, at: int, over: Over) -> Round:
        exploration = replace(self.exploration, budget=replace(self.exploration.budget, switches=at))
        case = situation(exploration.name, exploration.copies)
        within = explored_within(case, exploration.budget, over, random.Random(at))
        whole, wrong = not within.explored.left, exploration.wrong(within.explored)
        following = at if not whole else at + 1 if within.bounded else None
        return Round(f"with at most {at} switches", within.explored.runs, whole, following, wrong)


def _faults(budget: Budget) -> tuple[tuple[str, int], ...]:
    return ("crashes", budget.crashes), ("refusals", budget.errors), ("naps", budget.naps)


@dataclass(frozen=True)
class Singly:
    """Every single fault at every effect of a story."""

    story: Callable[[], Play]

    @property
    def name(self) -> str:
        return f"{self.story.__name__}, every fault"

    def round(self, at: int, over: Over) -> Round:
        found, been = Survived(), defaultdict[int, set[Hashable]](set)
        moments = _points(self.story)
        faults = [(moment, *each) for moment in moments for each in faults_of(moment, Counter(), everything=True)]
        random.Random(1).shuffle(faults)
        with silent():
            for moment, place, fault in faults[at:]:
                if over() or found.wrong:
                    break
                survived(moment, place, fault, found, been[id(moment)])
        done = at + found.forks
        return Round(f"of {len(faults):,}", found.forks, True, done if done < len(faults) else None, found.wrong)


@dataclass(frozen=True)
class InPairs:
    """Pairs of faults of a story, drawn by chance: never all of them, more with every round."""

    story: Callable[[], Play]

    @property
    def name(self) -> str:
        return f"{self.story.__name__}, pairs of faults"

    def round(self, at: int, over: Over) -> Round:
        chance, points, tried, wrong = random.Random(at), _points(self.story), 0, ""
        while not wrong and not over():
            tried, wrong = tried + 1, pair(points, chance)
        return Round(f"drawn with seed {at}", tried, False, at + 1, [wrong] if wrong else [])


@dataclass(frozen=True)
class Shuffled:
    """A story again and again, each time in another order: never all of them, more with every round."""

    story: Callable[[], Play]

    @property
    def name(self) -> str:
        return f"{self.story.__name__}, any order"

    def round(self, at: int, over: Over) -> Round:
        wrong, seed = "", at
        while not wrong and not over():
            wrong, seed = shuffled(self.story, seed), seed + 1
        told = [f'{wrong}\nassert shuffled({self.story.__name__}, {seed - 1}) == ""'] if wrong else []
        return Round(f"orders drawn with seeds from {at} on", seed - at, False, seed, told)


@dataclass(frozen=True)
class Skewed:
    """A story again and again, each time with one function's clock wrong."""

    story: Callable[[], Play]

    @property
    def name(self) -> str:
        return f"{self.story.__name__}, one clock five minutes off"

    def round(self, at: int, over: Over) -> Round:
        clocks = [(function, seconds) for function in FUNCTIONS for seconds in (FIVE_MINUTES, -FIVE_MINUTES)]
        wrong, done = [], at
        while done < len(clocks) and not over():
            function, seconds = clocks[done]
            done += 1
            if told := skewed(self.story, {function: seconds}):
                wrong.append(f"{function}'s clock off by {seconds} s: {told}")
        return Round(f"of {len(clocks)} clocks", done - at, True, done if done < len(clocks) else None, wrong)


def _points(story: Callable[[], Play]) -> Sequence[Moment]:
    with silent():
        return moments(story())


OF_A_FUNCTION = (
    (Budget(crashes=2), 2), (Budget(errors=2), 2), (Budget(crashes=1, errors=1), 2), (Budget(naps=1, crashes=1), 2),
    (Budget(crashes=1), 3),
)  # fmt: skip
TWO_MESSAGES = frozenset({"detect_drift"})
OF_TWO = (Budget(crashes=2), Budget(errors=2), Budget(naps=1, crashes=1))
OF_WINDOWS = (Budget(), Budget(crashes=1), Budget(errors=1))


def subjects() -> Iterator[Subject]:
    """Everything that is explored."""
    for budget in OF_WINDOWS:
        yield Situated(Exploration("windows, 3 uploads, 2 closers", budget))
    for story in STORIES:
        yield from (Singly(story), Skewed(story), Shuffled(story), InPairs(story))
    for function in FUNCTIONS:
        for budget, copies in OF_A_FUNCTION:
            yield Situated(Exploration(function, budget, copies - (function in TWO_MESSAGES)))
    for each in BESIDE:
        for budget in OF_TWO:
            for etags in ("", ETAGS_IGNORED):
                yield Situated(Exploration(each.__name__ + etags, budget))
