"""What is done to the local cloud while it works: deaths at named points, kills at random, services that refuse.

at named points      a function's worker dies right before or right after an effect (soak_points)
processes            every few seconds one of any kind is ended without a warning: services, jobs, containers, functions
the whole cloud      a few times all of it at once; whoever runs it starts it again
refusals             the next request of some method is answered 503, or carried out and its answer lost
"""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psutil

from cli.demo.cloud import LocalCloud
from shared.errors import SerinError
from shared.wiring import FUNCTIONS
from tests.e2e.killing import CLOUD, SERVICES, WORKERS, processes_of
from tests.e2e.soak_points import Points

WEIGHTS = {**dict.fromkeys((*SERVICES, *WORKERS), 4), "functions": 1, **dict.fromkeys(FUNCTIONS, 1)}
"""How often a kind is ended at random: functions die at named points too, and their host takes all of them along."""
LEAST_EFFECTS = 300
"""What the functions must have done since the last kill: on a busy machine nothing would ever come to its end."""
LOOK_SECONDS = 0.5
MEMORY_SECONDS = 5.0
REFUSED = (
    ("STORAGE_EMULATOR_HOST", "storage.objects.insert"),
    ("STORAGE_EMULATOR_HOST", "storage.objects.get"),
    ("STORAGE_EMULATOR_HOST", "storage.objects.list"),
)
REFUSALS = ("return-503", "return-503-after-effect", "return-reset-connection", "return-reset-connection-after-effect")


@dataclass(frozen=True)
class Harm:
    """How much is done, in seconds between two of a kind; `restarts` are the whole cloud's times."""

    kill_seconds: float
    point_seconds: float
    refusal_seconds: float
    restarts: tuple[float, ...]


@dataclass
class Told:
    """What was done, and what was seen of memory and processor time meanwhile."""

    kills: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    refusals: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    memory_peak: dict[str, float] = field(default_factory=dict)
    processor: dict[int, tuple[str, float]] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    def processor_seconds(self) -> dict[str, float]:
        """Of each kind of process, as far as it lived to be looked at."""
        found: Counter[str] = Counter()
        for kind, seconds in self.processor.values():
            found[kind] += seconds  # type: ignore[assignment]
        return {kind: round(seconds, 1) for kind, seconds in found.most_common()}


class Chaos:
    """Does all of it in a thread of its own, for as long as the block lasts."""

    def __init__(self, local: LocalCloud, points: Points, harm: Harm, chance: random.Random) -> None:
        self.told = Told()
        self._local, self._points, self._harm, self._chance = local, points, harm, chance
        self._begun = time.monotonic()
        self._due = {self._kill: harm.kill_seconds, self._refuse: harm.refusal_seconds, self._measure: MEMORY_SECONDS}
        self._next = {act: self._begun + seconds for act, seconds in self._due.items() if seconds}
        self._died: dict[str, float] = {}
        self._ordered: dict[str, float] = {}
        self._done = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos")

    def __enter__(self) -> "Chaos":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._points.recall()
        self._points.look()

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                self._look()
            except Exception as error:  # told in the report, which fails: nobody would notice a chaos that has ended
                self.told.trouble.append(f"the chaos itself failed: {type(error).__name__}: {error}"[:300])

    def _look(self) -> None:
        now = time.monotonic()
        for point in self._points.look():
            self._died[point.function] = now
            if self._points.order_first(point.function):
                self._ordered[point.function] = now
        self._order(now)
        for act, at in list(self._next.items()):
            if now >= at:
                self._next[act] = now + self._chance.uniform(0.5, 1.5) * self._due[act]
                act()
        if (
            self.told.restarts < len(self._harm.restarts)
            and now - self._begun > self._harm.restarts[self.told.restarts]
        ):
            self._restart()

    def _order(self, now: float) -> None:
        """For each function that has lived for a while: its next death, where nobody has died yet or anywhere."""
        for function in sorted({point.function for point in self._points.passed}):
            lived = now - self._died.get(function, self._begun)
            stands = now - self._ordered.get(function, self._begun)
            # An order that nobody has taken for a while is for a point that is seldom passed: another takes its place.
            if min(lived, stands) >= self._harm.point_seconds:
                self._ordered[function] = now
                # Half of the orders spare the reads, which come first and would take all the deaths at first.
                wanted = [self._chance.choice(self._points.of(function))]
                self._points.order(function, wanted, at_reads=self._chance.random() < 0.5)

    def _kill(self) -> None:
        done = self._points.done("reconcile")
        if done - self._done < LEAST_EFFECTS:
            return
        self._done = done
        alive = processes_of(self._local)
        victims = sorted(set(alive) & set(WEIGHTS))
        if victims:
            kind = self._chance.choices(victims, [WEIGHTS[each] for each in victims])[0]
            with suppress(psutil.NoSuchProcess):
                self._chance.choice(alive[kind]).kill()
                self.told.kills[kind] += 1

    def _restart(self) -> None:
        self.told.restarts += 1
        self._local.kill()
        self.told.kills[CLOUD] += 1
        try:
            self._local.start()
        except SerinError as error:
            self.told.trouble.append(f"the local cloud did not start again: {error}")

    def _refuse(self) -> None:
        service, method = self._chance.choice(REFUSED)
        script = {"instructions": {method: [self._chance.choice(REFUSALS)]}, "everyone": True}
        with suppress(httpx.HTTPError):
            httpx.post(f"{self._local.variables[service]}/retry_test", json=script, timeout=5).raise_for_status()
            self.told.refusals += 1

    def _measure(self) -> None:
        kinds: Counter[str] = Counter()
        for kind, processes in processes_of(self._local).items():
            for process in processes:
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    kinds[kind] += process.memory_info().rss
                    spent = process.cpu_times()
                    self.told.processor[process.pid] = kind, spent.user + spent.system
        self.told.memory.append((round(time.monotonic() - self._begun, 1), round(kinds.total() / 2**20, 1)))
        for kind, size in kinds.items():
            self.told.memory_peak[kind] = round(max(self.told.memory_peak.get(kind, 0.0), size / 2**20), 1)
