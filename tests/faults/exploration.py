"""Explores one situation: every order and fault within the budget must come to what the undisturbed run comes to."""

import contextlib
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.choices import Choices, Explored, explore
from tests.faults.invariants import broken, difference, outcome
from tests.faults.scheduler import Budget, Delivery, Stage
from tests.world.cloud import MemoryCloud


@dataclass(frozen=True)
class Case:
    """A world, what is delivered in it, and how often each message comes.

    `goal` tells what is wrong with an end, where several ends are right; without one, it must be the undisturbed end.
    `again` is what comes once more when faults are over, the first message unless told; `ahead_seconds` is by how much
    the clocks of second copies are wrong.
    """

    cloud: MemoryCloud
    deliveries: Sequence[Delivery]
    copies: int = 2
    goal: Callable[[MemoryCloud], str] | None = None
    again: Sequence[Delivery] | None = None
    ahead_seconds: float = 0.0

    @property
    def all_copies(self) -> list[Delivery]:
        return [
            replace(each, name=f"{each.name}#{copy}", ahead_seconds=copy * self.ahead_seconds)
            for each in self.deliveries
            for copy in range(self.copies)
        ]


def explored(case: Case, budget: Budget, most_runs: int = 20_000) -> Explored:
    """Every run of a case; the first that goes wrong ends the exploration."""
    with _silent():
        expected = [] if case.goal else undisturbed(case)
        return explore(lambda choices: _run(case, budget, choices, expected), most_runs)


@dataclass
class Within:
    """A level of an exploration: every run with at most so many switches, as far as there was time.

    `bounded` tells whether more switches would have made more runs.
    """

    explored: Explored
    bounded: bool


def explored_within(case: Case, budget: Budget, over: Callable[[], bool], chance: random.Random) -> Within:
    """Every run of a case, in an order by chance, until it is over."""
    bounded = False

    def run(choices: Choices) -> str:
        nonlocal bounded
        stage = Stage(case.cloud, case.all_copies, budget, choices, case.again)
        try:
            return _end(case, stage, expected)
        finally:
            bounded = bounded or stage.bounded

    with _silent():
        expected = [] if case.goal else undisturbed(case)
        found = explore(run, sys.maxsize, over=over, chance=chance)
    return Within(found, bounded)


def replayed(case: Case, budget: Budget, prefix: Sequence[int]) -> str:
    """One run again, by its choices; answers what goes wrong in it."""
    with _silent():
        return _run(case, budget, Choices(prefix), [] if case.goal else undisturbed(case))


def undisturbed(case: Case) -> list[dict[str, object]]:
    """What comes of each message delivered once, in the order given and in the reverse of it."""
    found = []
    for deliveries in (list(case.deliveries), list(reversed(case.deliveries))):
        cloud = case.cloud
        for delivery in deliveries:
            stage = Stage(cloud, [delivery], Budget(), Choices(()))
            stage.play()
            if stage.trouble:
                raise AssertionError(f"undisturbed: {stage.trouble}")
            history = [*cloud.bus.history, *stage.cloud.bus.history]
            cloud = stage.cloud
            cloud.bus.history[:] = history
        found.append(outcome(cloud))
    return found


def _run(case: Case, budget: Budget, choices: Choices, expected: Sequence[dict[str, object]]) -> str:
    return _end(case, Stage(case.cloud, case.all_copies, budget, choices, case.again), expected)


def _end(case: Case, stage: Stage, expected: Sequence[dict[str, object]]) -> str:
    """Plays to the end; answers what went wrong."""
    stage.play()
    if stage.trouble:
        return stage.trouble
    if case.goal is not None:
        return case.goal(stage.cloud) or broken(stage.cloud)
    found = outcome(stage.cloud)
    if stage.slept:
        expected, found = [_without_surplus(each) for each in expected], _without_surplus(found)
    differences = [difference(one, found) for one in expected]
    if all(differences):
        return differences[0]
    return broken(stage.cloud)


def _without_surplus(found: dict[str, object]) -> dict[str, object]:
    """Who sleeps for a lease may upload a second version, which is deleted with the older ones; one is recorded."""
    return {**found, "versions": set(found["versions"])}  # type: ignore[call-overload]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
