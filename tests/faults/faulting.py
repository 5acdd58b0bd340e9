"""Every single fault at every effect of a whole run: forks of the undisturbed play, each with one thing gone wrong."""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.choices import written
from tests.faults.invariants import records
from tests.faults.kinds import REFUSALS, Fault, Kind, choice_of, kinds_of
from tests.faults.scheduler import CHANGING
from tests.faults.whole_run import Play, state_of, waiting_state

_ANY = 1_000
"""More choices than there are at any effect."""
_SOON = 80
"""How many effects after the first of two faults the second comes at most: those of about five deliveries."""


@dataclass
class Survived:
    """What came of the forks: how many there were, how many came back to the undisturbed play or to where another fork
    had been before, and what went wrong."""

    forks: int = 0
    rejoined: int = 0
    known: int = 0
    deliveries: int = 0
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __add__(self, other: "Survived") -> "Survived":
        return Survived(
            self.forks + other.forks, self.rejoined + other.rejoined, self.known + other.known,
            self.deliveries + other.deliveries, self.met + other.met, self.wrong + other.wrong,
        )  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """The point before one delivery of the undisturbed play, its effects, and where the play was after it."""

    before: Play
    about: tuple[str, str]
    effects: tuple[str, ...]
    after: Hashable


def moments(play: Play) -> list[Moment]:
    """The undisturbed play, delivery by delivery; AssertionError when it does not end as its story tells."""
    found = []
    while not play.over:
        if not play.bag:
            play.step()
            continue
        before, letter = play.fork(), play.bag[0]
        play.step()
        assert not play.trouble, play.trouble
        about = letter.function, letter.topic
        found.append(Moment(before, about, tuple(play.effects), state_of(play)))
    assert not play.to_the_end(), play.to_the_end()
    assert ends(play) == play.story.ends, f"{play.story.name} ended {ends(play)}"
    return found


def faults_of(moment: Moment, seen: Counter[Any], everything: bool) -> Iterator[tuple[int, Fault]]:
    """What can go wrong in a delivery, and at which of its effects.

    Unless everything is wanted: what went wrong at the same place of the same function's work before is left out, one
    of the three refusals stands for all (each effect's first time aside), and dying is of interest after a change. A
    message that dies before its first effect, and is given up, is one that was never delivered.
    """
    changed = False
    for place, effect in enumerate(moment.effects):
        work = (*moment.about, moment.effects[: place + 1])
        for kind in kinds_of(effect):
            first = not seen[effect, kind]
            turn = list(REFUSALS)[seen[effect, "refusals"] % len(REFUSALS)] if kind in REFUSALS else kind
            idle = kind == "crash before" and not changed
            if everything or first or not (seen[work, _group(kind)] or idle or kind != turn):
                seen[effect, kind] += 1
                seen[effect, "refusals"] += kind in REFUSALS
                seen[work, _group(kind)] += 1
                yield place, Fault(kind)
        changed = changed or effect in CHANGING
        if (place == 0 or effect in CHANGING) and (everything or not seen[work, "given up"]):
            seen[work, "given up"] += 1
            yield place, Fault("crash after" if effect in CHANGING else "crash before", again=False)


def _group(kind: Kind) -> str:
    return "refused" if kind in REFUSALS else kind


def survive(
    play: Play, everything: bool = False, seen: Counter[Any] | None = None, only: str = "", enough: int = 3
) -> Survived:
    """Has every single fault happen to a story, or to one function in it; the first few not survived are told."""
    found, seen = Survived(), Counter() if seen is None else seen
    with silent():
        for moment in moments(play):
            if not ".".join(moment.about).startswith(only):
                continue
            been: set[Hashable] = set()
            for place, fault in faults_of(moment, seen, everything):
                survived(moment, place, fault, found, been)
                if len(found.wrong) >= enough:
                    return found
    return found


def survived(moment: Moment, place: int, fault: Fault, found: Survived, been: set[Hashable]) -> None:
    """Has one fault happen; `been` is where forks of this moment have been."""
    play = moment.before.fork({moment.before.place + place: choice_of(fault, moment.effects[place])})
    play.step()
    found.forks += 1
    found.met.update(play.met)
    if not play.trouble and state_of(play) == moment.after:
        found.rejoined += 1
        return
    where = waiting_state(play)
    found.known += where in been
    wrong = "" if where in been and not play.trouble else play.to_the_end()
    been.add(where)
    found.deliveries += play.deliveries - moment.before.deliveries
    if wrong:
        about = f"{'.'.join(moment.about)}, {moment.effects[place]}: {fault}"
        found.wrong.append(f"{about}: {wrong}\n{line(play.story.name, play.taken)}")


def line(story: str, taken: Mapping[int, int]) -> str:
    """A run again, in one line of a test."""
    return f'assert replay("{story}", {written(taken)}) == ""'


def skewed(story: Callable[[], Play], clocks: Mapping[str, float]) -> str:
    """A story in which functions' clocks are wrong by so many seconds all the time; answers what went wrong."""
    with silent():
        play = story()
        play.skewed = clocks
        return play.to_the_end()


def shuffled(story: Callable[[], Play], seed: int) -> str:
    """A story whose messages come in any order, some of them again; answers what went wrong, or how else it ended."""
    with silent():
        play = story()
        play.chance = random.Random(seed)
        wrong = play.to_the_end()
    return wrong or ("" if ends(play) == play.story.ends else f"ended {ends(play)}")


def ends(play: Play) -> tuple[str, ...]:
    """How the runs and the rollouts of a play have ended."""
    return tuple(str(end["outcome"]) for kind in ("runs", "rollouts") for _, end in records(play.cloud, kind, "end"))


def pair(points: Sequence[Moment], chance: random.Random) -> str:
    """Two faults by chance, the second soon after the first; answers what went wrong."""
    first = chance.choice(points)
    place = first.before.place + chance.randrange(len(first.effects))
    faults = {each: chance.randrange(1, _ANY) for each in (place, place + chance.randint(1, _SOON))}
    with silent():
        play = first.before.fork(faults)
        wrong = play.to_the_end()
    return f"{wrong}\n{line(play.story.name, play.taken)}" if wrong else ""


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """What functions log goes nowhere."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
