"""The named points of a soak: right before and right after each effect of each function, and who is to die at which.

    the soak                                             a function's process, at each effect
    orders/<function> = the points that are spared ────► not spared? takes the order ─► hits/… ─► kill -9 of itself
    counts  ◄──────────────────────────────────────────── effects/<function>: a line for each effect that was done

An order is good for one death, whoever takes it first; between two orders a function lives, so that messages get
through. Whatever is written stands before the process dies: it is the kernel that keeps it.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

When = Literal["before", "after"]
MOMENTS: tuple[When, ...] = ("before", "after")
READS = ("oidc.keys", "storage.list", "storage.open", "storage.read", "storage.stat", "vertex.get_endpoint")
"""What nearly every handler begins with, and what changes nothing."""
FIRST = ("oidc.keys",)
"""What a process does once: only who dies in its first request can die there."""
SLOT_SECONDS = 10.0
LISTED_AT_ONCE = 1000
"""Names on one page of a listing, each page being an operation that is paid for."""


@dataclass(frozen=True)
class Point:
    """Where a function can die: right before or right after an effect that the door names."""

    function: str
    effect: str
    when: When

    def __str__(self) -> str:
        return f"{self.function} {self.when} {self.effect}"


@dataclass(frozen=True)
class Effect:
    """One effect that was done: when, of which function, and how many names it listed."""

    at: float
    function: str
    name: str
    listed: int

    @property
    def operations(self) -> int:
        """What it is counted as: a listing as often as it has pages."""
        return max(1, -(-self.listed // LISTED_AT_ONCE))


class Passage:
    """The function's side: writes down what it does, and says when it is to die."""

    def __init__(self, folder: Path, function: str) -> None:
        self.function = function
        self._order = folder / "orders" / function
        self._hits = folder / "hits"
        self._effects = os.open(folder / "effects" / function, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def done(self, effect: str, listed: int) -> None:
        os.write(self._effects, f"{time.time():.3f} {effect} {listed}\n".encode())

    def is_fatal(self, effect: str, when: When) -> bool:
        """Whether this process is the one that dies here, having taken the order to."""
        try:
            spared = self._order.read_text().split("\n")
            if f"{when} {effect}" in spared:
                return False
            self._order.rename(self._hits / f"{self.function} {when} {effect} {time.time_ns()}")
        except FileNotFoundError:
            return False
        return True


@dataclass
class Points:
    """The soak's side: which points there are, how often each was hit, and the orders."""

    folder: Path
    hits: Counter[Point] = field(default_factory=Counter)
    passed: Counter[Point] = field(default_factory=Counter)
    slots: dict[Point, set[int]] = field(default_factory=dict)
    """In which stretches of ten seconds each was passed: a burst is one occasion to die."""
    effects: list[Effect] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("orders", "hits", "effects"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def look(self) -> list[Point]:
        """Takes in what has happened since the last look; answers who has died."""
        for path in sorted((self.folder / "effects").iterdir()):
            self._take_in(path)
        dead = []
        for path in sorted((self.folder / "hits").iterdir()):
            function, when, effect, _ = path.name.split(" ")
            dead.append(Point(function, effect, "before" if when == "before" else "after"))
            path.unlink()
        self.hits.update(dead)
        return dead

    def _take_in(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read.get(path.name, 0))
            text, end, _unfinished = file.read().rpartition(b"\n")
        self._read[path.name] = self._read.get(path.name, 0) + len(text) + len(end)
        for line in text.decode().splitlines():
            at, name, listed = line.split(" ")
            self.effects.append(Effect(float(at), path.name, name, int(listed)))
            for point in (Point(path.name, name, when) for when in MOMENTS):
                self.passed[point] += 1
                self.slots.setdefault(point, set()).add(int(float(at) // SLOT_SECONDS))

    def of(self, function: str) -> list[Point]:
        """The function's points, in the order of their names."""
        return sorted((point for point in self.passed if point.function == function), key=str)

    def order(self, function: str, wanted: Iterable[Point], at_reads: bool = True) -> None:
        """One death of the function, at a wanted point or where nobody has died yet; not at reads, if so said."""
        spared = {point for point in self.hits if point.function == function} - set(wanted)
        spared |= set() if at_reads else {Point(function, effect, when) for effect in READS for when in MOMENTS}
        self._order(function, spared)

    def order_first(self, function: str) -> bool:
        """One death where only a process that has just begun can die; False if nobody has to die there any more."""
        firsts = [point for point in self.of(function) if point.effect in FIRST and not self.hits[point]]
        if firsts:
            self._order(function, set(self.of(function)) - set(firsts))
        return bool(firsts)

    def _order(self, function: str, spared: Iterable[Point]) -> None:
        draft = self.folder / f"{function}.draft"
        draft.write_text("\n".join(f"{point.when} {point.effect}" for point in spared))
        draft.rename(self.folder / "orders" / function)

    def done(self, without: str) -> int:
        """How many effects all functions but one have done."""
        return sum(times for point, times in self.passed.items() if point.when == "after" and point.function != without)

    def recall(self) -> None:
        """Nobody dies any more."""
        for path in (self.folder / "orders").iterdir():
            with suppress(FileNotFoundError):
                path.unlink()

    def missed(self, least: int) -> list[Point]:
        """The points that were passed on at least so many occasions, and nobody died there."""
        return sorted(
            (each for each, slots in self.slots.items() if len(slots) >= least and not self.hits[each]), key=str
        )
