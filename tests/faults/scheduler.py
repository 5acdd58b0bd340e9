"""Deliveries side by side, one effect at a time: which of them goes on, dies or is refused is a choice.

    waiting in the bag ─► started ─► effect ─► effect ─► … ─► acknowledged
            ▲                          └ died, or answered with an error: delivered again
            └──────────────────────────┘

Each delivery is a greenlet that stops before each of its effects. Once nobody is left, faults are over: what was not
acknowledged is delivered again, one after the other, first within a lease and then after it, and so is the first
message (as reconcile would do), until nothing changes any more.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

from shared.envelope import Message
from shared.environment import using
from shared.errors import Conflict, NotYet, Refused, SerinError, Transient
from shared.foreign import CLOCK_TICKED
from tests.faults.choices import Choices
from tests.faults.deliveries import entry_point, pushed
from tests.faults.invariants import broken
from tests.faults.world import copied, digest, lasting
from tests.world.cloud import MemoryCloud

T = TypeVar("T")
LEASE_SECONDS = 61.0
BACKOFF_SECONDS = 10.0
"""After which a message comes again; shorter than a lease."""
_MOST_ROUNDS = 8
CHANGING = frozenset(
    {
        "storage.create", "pubsub.publish", "vertex.create_job", "vertex.cancel_job", "vertex.create_batch_job",
        "vertex.cancel_batch_job", "vertex.upload", "vertex.deploy", "vertex.undeploy", "vertex.set_split",
        "vertex.create_endpoint", "vertex.make_default", "vertex.delete_version", "notify.send",
        "run.create_job", "run.cancel_execution", "run.create_service", "run.deploy", "run.undeploy", "run.set_split",
        "run.delete_service",
    }
)  # fmt: skip
_LOOKS = ("storage.read", "storage.stat")
ACKNOWLEDGE = "acknowledge"


class Crash(BaseException):
    """The process of a function ends without a warning."""


@dataclass(frozen=True)
class Delivery:
    """One message on its way to one function, whose clock is ahead of the world's by so many seconds."""

    function: str
    topic: str
    message: Message
    name: str
    ahead_seconds: float = 0.0


TICK = Delivery("reconcile", CLOCK_TICKED, Message({}, b"{}"), "tick")


@dataclass
class Budget:
    """How much may go wrong in a run; `switches` is how often one delivery may be put off for another.

    Most races show with one such switch; without a bound every order is tried. A nap is longer than a lease: whoever
    takes one goes on afterwards as if nothing had happened, while another has taken over.
    """

    crashes: int = 0
    errors: int = 0
    naps: int = 0
    switches: int = 1_000_000


@dataclass
class Process:
    """One delivery at work: its next effect, and what it was answered so far."""

    delivery: Delivery
    thread: Any
    effect: str = ""
    heard: list[str] = field(default_factory=list)
    changed: bool = False
    claimed: bool = False
    napped: bool = False


class Stage:
    """A run: a world, what is to be delivered, and the choices."""

    def __init__(
        self, cloud: MemoryCloud, deliveries: Sequence[Delivery], budget: Budget, choices: Choices,
        again: Sequence[Delivery] | None = None,
    ) -> None:  # fmt: skip
        self.cloud = copied(cloud, self._door)
        self.cloud.token = self._token  # type: ignore[method-assign]
        self.cloud.now = self._now  # type: ignore[method-assign]
        self.trouble = ""
        self.bounded = self.slept = False
        self.met: set[tuple[str, str]] = set()
        self._bag = list(deliveries)
        self._again = list(self._bag[:1] if again is None else again)
        self._unacknowledged: list[Delivery] = []
        self._tokens: Counter[str] = Counter()
        self._budget = replace(budget)
        self._last: Process | None = None
        self._choices = choices
        self._live: list[Process] = []

    def play(self) -> None:
        """Plays to the end: the choices first, then, faults over, whatever was not acknowledged."""
        while self._bag:
            self._start()
        while self._live:
            self._go_on(*self._chosen())
        if self._unacknowledged:
            self._come_again([], BACKOFF_SECONDS)
        before: object = None
        for _ in range(_MOST_ROUNDS):
            if self.trouble or (not self._unacknowledged and before == lasting(self.cloud)):
                return
            before = lasting(self.cloud)
            self._come_again(self._again, LEASE_SECONDS)
        self.trouble = f"does not come to rest; not acknowledged: {[each.name for each in self._unacknowledged]}"

    def _come_again(self, more: Sequence[Delivery], seconds: float) -> None:
        """Time passes, and what was not acknowledged is delivered again, each before the next."""
        self.cloud.pass_time(seconds)
        self.cloud.services.finish()
        self._bag, self._unacknowledged = (
            list({each.name: each for each in (*self._unacknowledged, *more)}.values()),
            [],
        )
        while self._bag:
            self._start()
            while self._live:
                self._go_on(self._live[0], "ok")

    def _chosen(self) -> tuple[Process, str]:
        free = self._budget.switches > 0 or self._last not in self._live
        able = self._live if free else [each for each in self._live if each is self._last]
        self.bounded = self.bounded or len(able) < len(self._live)
        possible = [(process, outcome) for process in able for outcome in self._outcomes(process)]
        return possible[self._choices.pick(len(possible), self._state)] if len(possible) > 1 else possible[0]

    def _outcomes(self, process: Process) -> list[str]:
        """What may become of a delivery's next effect.

        Dying anywhere before the first change is the same as not having come yet, and dying after a look the same as
        dying before it: only the moments right after a change are different ones.
        """
        found = ["ok"]
        if self._budget.crashes and process.changed:
            found.append("crash")
        if self._budget.naps and process.claimed and not process.napped and process.effect != ACKNOWLEDGE:
            found.append("nap")
        if self._budget.errors and process.effect != ACKNOWLEDGE:
            found.append("error before")
            if process.effect in CHANGING:
                found.append("error after")
        return found

    def _start(self) -> None:
        process = Process(self._bag.pop(0), None)
        process.thread = greenlet(lambda: self._handled(process))
        self._live.append(process)
        self._switch(process, None)

    def _go_on(self, process: Process, outcome: str) -> None:
        self.met.add((process.effect, outcome))
        if outcome == "nap":
            return self._nap(process)
        if self._last in self._live and process is not self._last:
            self._budget.switches -= 1
        self._last = process
        if outcome == "crash":
            self._budget.crashes -= 1
        if outcome.startswith("error"):
            self._budget.errors -= 1
        process.changed = process.effect in CHANGING
        process.claimed = process.claimed or process.effect == "storage.create"
        process.napped = False
        self._switch(process, outcome)
        return None

    def _nap(self, process: Process) -> None:
        """A delivery sleeps for longer than a lease; who goes on meanwhile is the next choice, and costs no switch."""
        self._budget.naps -= 1
        self.slept = True
        process.napped = True
        self._last = None
        self.cloud.pass_time(LEASE_SECONDS)

    def _switch(self, process: Process, outcome: str | None) -> None:
        """Lets a delivery go on to its next effect, or to its end."""
        effect = process.thread.switch(outcome) if outcome is not None else process.thread.switch()
        if process.thread.dead:
            self._live.remove(process)
            if effect != "acknowledged":
                self._unacknowledged.append(process.delivery)
        else:
            process.effect = effect

    def _handled(self, process: Process) -> str:
        """The life of one delivery; answers how it ended."""
        delivery = process.delivery
        try:
            with using(self.cloud):
                entry_point(delivery.function)(pushed(delivery.topic, delivery.message))
            self._door(ACKNOWLEDGE, lambda: None)
        except Crash:
            return "crashed"
        except (NotYet, Transient, Conflict, Refused) as later:
            return f"later: {later}"
        except SerinError as error:
            self.trouble = f"{delivery.name}: {error}"
        except Exception as bug:
            self.trouble = f"{delivery.name}: a bug: {type(bug).__name__}: {bug}"
        else:
            return "acknowledged"
        return "failed"

    def _door(self, effect: str, act: Callable[[], T]) -> T:
        """Where every effect passes: it waits until it is chosen, and happens as it is chosen."""
        process = self._process()
        if process is None:
            return act()
        try:
            return self._passed(process, effect, act)
        finally:
            if effect in CHANGING:
                self.trouble = self.trouble or broken(self.cloud)

    def _passed(self, process: Process, effect: str, act: Callable[[], T]) -> T:
        if effect in _LOOKS and (known := act()) is not None:
            # What stands is never overwritten: whenever it is looked at, it is the same.
            process.heard.append(f"{effect}: {known!r}")
            return known
        outcome = process.thread.parent.switch(effect)
        if outcome == "crash":
            raise Crash
        if outcome == "error before":
            process.heard.append(f"{effect}: refused")
            raise Transient(effect, "injected")
        try:
            answer = act()
        except Exception as error:
            process.heard.append(f"{effect}: {error}")
            raise
        if outcome == "error after":
            process.heard.append(f"{effect}: reply lost")
            raise Transient(effect, "injected")
        process.heard.append(f"{effect}: {answer!r}")
        return answer

    def _now(self) -> datetime:
        process = self._process()
        return self.cloud.time + timedelta(seconds=process.delivery.ahead_seconds if process else 0.0)

    def _process(self) -> Process | None:
        current = getcurrent()
        return next((process for process in self._live if process.thread is current), None)

    def _token(self) -> str:
        """A token that follows from who asks: two runs that come to the same state have the same tokens."""
        process = self._process()
        if process is None:
            return "token-0"
        self._tokens[process.delivery.name] += 1
        return f"token-{process.delivery.name}-{self._tokens[process.delivery.name]}"

    def _state(self) -> Hashable:
        alive = tuple(sorted((each.delivery.name, each.effect, hash(tuple(each.heard))) for each in self._live))
        again = tuple(sorted(each.name for each in self._unacknowledged))
        last = self._last.delivery.name if self._last is not None and self._last in self._live else ""
        napping = tuple(sorted(each.delivery.name for each in self._live if each.napped))
        budget = self._budget
        left = (budget.crashes, budget.errors, budget.naps, budget.switches, last, napping)
        return digest(self.cloud), alive, again, left
