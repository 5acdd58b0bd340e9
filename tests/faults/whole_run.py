"""A whole run in the world in memory, from the drop to its end, with one thing that goes wrong at one of its effects.

    bag ─► delivered, one after the other ─┬ acknowledged: what it published comes into the bag
                                           └ not acknowledged: delivered again at once, or given up for good
    bag empty ─► a turn: operations end, jobs train, clients report, 20 s pass ─► a tick of the clock into the bag

What goes wrong is a list of choices, one per effect of a message's first delivery: 0 is nothing, n the n-th fault of
`kinds.faults_at`. A play can be forked before any delivery, so that each fault costs only what it changes: once a fork
has come to where the undisturbed play was after the same delivery, its future is known.
"""

import random
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from requests.exceptions import Timeout

from shared.door import open_door
from shared.envelope import Message
from shared.environment import using
from shared.errors import SerinError
from shared.foreign import CLOCK_TICKED
from tests.faults.deliveries import entry_point, pushed
from tests.faults.invariants import broken, unfinished, unintended, unsaid, wrong_at_rest
from tests.faults.kinds import LISTING, OK, REFUSALS, Fault, Kind, faults_at
from tests.faults.outside import Outside, golden_answers
from tests.faults.refolding import decided_otherwise
from tests.faults.scheduler import CHANGING, Crash
from tests.faults.world import copied, restless
from tests.world.cloud import MemoryCloud
from tests.world.running import subscribers
from tests.world.vertex import Fate

T = TypeVar("T")
_LEASE_SECONDS = 16
_MOST_TURNS = 150
_QUIET_TURNS = 4
_REPEATED, _SOON = 0.2, 0.5
"""How many letters come again, and how many of those before the clock's next tick."""


@dataclass(frozen=True)
class Story:
    """What happens outside, act by act; the next begins when nothing is left to be done, or after so many `turns`.

    `ends` is how runs and rollouts end when nothing goes wrong. `fails` are attempts that do not train; at the share
    `leaves_at` a person leaves a rollout; jobs of batch prediction that `hangs` run for ever.
    """

    name: str
    acts: tuple[Callable[[Outside], None], ...]
    ends: tuple[str, ...] = ()
    fails: frozenset[str] = frozenset()
    leaves_at: int | None = None
    hangs: bool = False
    turns: int | None = None


@dataclass(frozen=True)
class Letter:
    """One message on its way to one function."""

    function: str
    topic: str
    message: Message

    @property
    def identity(self) -> tuple[str, str]:
        return self.function, self.message.attributes.get("ce-id") or repr(sorted(self.message.attributes.items()))

    @property
    def essential(self) -> bool:
        """Whether nobody says it again: a notice is delivered until somebody has heard it."""
        return self.function == "notify"


@dataclass
class Play:
    """A story at some point of it; `choices` are what goes wrong, by the number of the effect, `taken` what has.

    With `chance`, letters are delivered in any order, and some of them more than once.
    """

    story: Story
    cloud: MemoryCloud
    choices: Mapping[int, int] = field(default_factory=dict)
    skewed: Mapping[str, float] = field(default_factory=dict)
    chance: random.Random | None = None
    bag: list[Letter] = field(default_factory=list)
    later: list[Letter] = field(default_factory=list)
    acts: int = 0
    turns: int = 0
    quiet: int = 0
    deliveries: int = 0
    place: int = 0
    given_up: bool = False
    taken: dict[int, int] = field(default_factory=dict)
    trouble: str = ""
    over: bool = False
    met: set[tuple[str, str]] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.effects: list[str] = []
        self._faulty = False
        self._happened: list[Fault] = []
        self._letter: Letter | None = None
        self._before: Any = None
        self.cloud = copied(self.cloud, self._door)
        self.cloud.vertex.predict_version = golden_answers
        self.cloud.vertex.prompt = self.cloud.services.prompt = False
        self.cloud.services.predict_version = golden_answers
        self.cloud.at_once = True
        self.cloud.now = self._now  # type: ignore[method-assign]

    def fork(self, choices: Mapping[int, int] | None = None) -> "Play":
        """The same point of the story, of which this play knows nothing any more; with other choices ahead."""
        forked = replace(
            self, cloud=self.cloud, choices=choices or {}, bag=list(self.bag), later=list(self.later), met=set(),
            taken=dict(self.taken), said=set(self.said), heard=set(self.heard),
        )  # fmt: skip
        forked._before = self._before
        return forked

    def gone_on(self, story: Story) -> "Play":
        """Another story in the world that this one has left."""
        return Play(story, self.cloud, said=self.said, heard=self.heard)

    def to_the_end(self) -> str:
        """Plays on until everything has ended; answers what went wrong."""
        while not self.over and not self.trouble:
            self.step()
        all_said = unsaid(self.cloud, self.said, self.heard, of_ends_only=self.given_up)
        return self.trouble or wrong_at_rest(self.cloud) or decided_otherwise(self.cloud) or all_said

    def step(self) -> None:
        """Delivers the next letter, or any of them if their order is one of chance; a turn when there is none."""
        if not self.bag:
            self._turn()
        elif self.chance is None:
            self.deliver(self.bag.pop(0))
        else:
            self._deliver_any(self.chance)

    def _deliver_any(self, chance: random.Random) -> None:
        """One of the letters; now and then it comes once more, some time later."""
        letter = self.bag.pop(chance.randrange(len(self.bag)))
        self.deliver(letter)
        if chance.random() < _REPEATED:
            (self.bag if chance.random() < _SOON else self.later).append(letter)

    def deliver(self, letter: Letter) -> None:
        """One delivery, with what goes wrong in it; what is not acknowledged is delivered again at once."""
        self.deliveries, self._happened = self.deliveries + 1, []
        acknowledged = self._handled(letter, faulty=True)
        lost = any(not fault.again for fault in self._happened) and not letter.essential
        self.given_up = self.given_up or lost
        if acknowledged or lost:
            return
        if not self._happened or not self._handled(letter, faulty=False):
            self._put_off(letter)

    def _put_off(self, letter: Letter) -> None:
        """It comes again after the clock's next tick; what was said twice and is put off twice comes as one."""
        if all(letter.identity != each.identity for each in self.later):
            self.later.append(letter)

    def _handled(self, letter: Letter, faulty: bool) -> bool:
        """Whether a delivery was acknowledged."""
        outer = self._letter, self.effects, self._faulty
        self._letter, self.effects, self._faulty = letter, [], faulty
        before, self.cloud.caller = self.cloud.caller, letter.function
        try:
            with using(self.cloud):
                entry_point(letter.function)(pushed(letter.topic, letter.message))
        except (Crash, SerinError):
            return False
        except Exception as bug:
            self.trouble = self.trouble or f"{letter.function}: a bug: {type(bug).__name__}: {bug}"
            return False
        else:
            return True
        finally:
            self._letter, _, self._faulty = outer
            self.cloud.caller = before
            self.effects = self.effects if outer[0] is None else outer[1]
            self._take_out()

    def _take_out(self) -> None:
        for topic, message in self.cloud.bus.take():
            self.said.add(message.attributes.get("ce-id", ""))
            self._say(topic, message)

    def _say(self, topic: str, message: Message) -> None:
        self.bag += [Letter(each.function, topic, message) for each in subscribers(topic, message)]

    def _turn(self) -> None:
        outside = Outside(self.cloud, self._say, self.story.fails, self.story.leaves_at, self.story.hangs)
        rest = unfinished(self.cloud)
        self.quiet = 0 if rest else self.quiet + 1
        self.turns += 1
        if self.turns > _MOST_TURNS:
            self.trouble = f"does not come to rest: {rest}"
        elif self.quiet > _QUIET_TURNS or (self.turns == self.story.turns and self.acts < len(self.story.acts)):
            self.over = self.acts == len(self.story.acts)
            if not self.over:
                self.acts, self.turns, self.quiet = self.acts + 1, 0, 0
                self.story.acts[self.acts - 1](outside)
        self._before = vertex_now(self.cloud)
        self.cloud.pass_time(outside.turn())
        self.bag, self.later = [*self.bag, *self.later, Letter("reconcile", CLOCK_TICKED, Message({}, b"{}"))], []

    def _now(self) -> datetime:
        function = self._letter.function if self._letter else ""
        return self.cloud.time + timedelta(seconds=self.skewed.get(function, 0))

    def _door(self, effect: str, act: Callable[[], T]) -> T:
        """Where every effect passes, happens as it is to happen, and is looked at when it has changed something."""
        if self._letter is None:
            return act()
        self.effects.append(effect)
        fault = self._chosen(effect) if self._faulty else None
        before = vertex_now(self.cloud) if effect in CHANGING and effect.startswith(("vertex.", "run.")) else None
        try:
            return self._act(effect, act) if fault is None else self._gone_wrong(fault.kind, effect, act)
        finally:
            if before is not None:
                self._before = before
            if effect in CHANGING:
                self.trouble = self.trouble or broken(self.cloud) or unintended(self.cloud)

    def _chosen(self, effect: str) -> Fault | None:
        """What goes wrong at this effect; a choice beyond what there is counts from the first again."""
        place, self.place = self.place, self.place + 1
        choice = self.choices.get(place, OK)
        if choice == OK:
            return None
        faults = faults_at(effect)
        number = (choice - 1) % len(faults)
        self.taken[place] = number + 1
        self._happened.append(faults[number])
        self.met.add((effect, faults[number].kind))
        return faults[number]

    def _act(self, effect: str, act: Callable[[], T]) -> T:
        answer = act()
        if effect == "notify.send" and self._letter is not None:
            self.heard.add(self._letter.message.attributes["ce-id"])
        return answer

    def _gone_wrong(self, kind: Kind, effect: str, act: Callable[[], T]) -> T:
        if kind in REFUSALS:
            return open_door(effect, lambda: _raise(REFUSALS[kind]()))
        if kind == "crash before":
            raise Crash
        if kind == "lease over":
            return self._overtaken(effect, act)
        if kind == "stale" and effect != LISTING:
            return self._as_before(act)
        answer = self._act(effect, act)
        if kind == "crash after":
            raise Crash
        if kind == "reply lost":
            return open_door(effect, lambda: _raise(Timeout("injected")))
        if kind == "stale":
            return torn(answer, act, self._meanwhile)
        fate: Fate = kind  # type: ignore[assignment]
        operation = getattr(answer, "operation", answer)
        (self.cloud.services if effect.startswith("run.") else self.cloud.vertex).fates[operation.name] = fate
        return answer

    def _overtaken(self, effect: str, act: Callable[[], T]) -> T:
        """The delivery sleeps for longer than a lease, while the same message is delivered to somebody else."""
        self.cloud.pass_time(_LEASE_SECONDS)
        self._meanwhile()
        return self._act(effect, act)

    def _meanwhile(self) -> None:
        letter = self._letter
        assert letter is not None
        self._handled(letter, faulty=False)

    def _as_before(self, act: Callable[[], T]) -> T:
        """What was true before Vertex AI was last changed."""
        now = vertex_now(self.cloud)
        _put_back(self.cloud, self._before or now)
        try:
            return act()
        except KeyError:  # it did not exist then: an answer from the past has the present's shape
            _put_back(self.cloud, now)
            return act()
        finally:
            _put_back(self.cloud, now)


_SEEN = ("_jobs", "_batch_jobs", "_versions", "_endpoints", "_operations")


def vertex_now(cloud: MemoryCloud) -> dict[str, Any]:
    """What Vertex AI answers, kept."""
    kept = {name: dict(getattr(cloud.vertex, name)) for name in _SEEN}
    kept["_versions"] = {model: list(versions) for model, versions in kept["_versions"].items()}
    kept["run"] = dict(cloud.services._operations), dict(cloud.jobs.found)
    return kept


def _put_back(cloud: MemoryCloud, kept: Mapping[str, Any]) -> None:
    for name in _SEEN:
        setattr(cloud.vertex, name, kept[name])
    cloud.services._operations, cloud.jobs.found = kept["run"]


def torn(first: Any, act: Callable[[], Any], meanwhile: Callable[[], None]) -> Any:
    """A listing in two pages, between which something happens: the second page knows of it, the first does not."""
    meanwhile()
    second = act()
    place = [getattr(each, "key", each) for each in first]
    middle = place[len(place) // 2] if place else ""
    old = [each for each in first if getattr(each, "key", each) <= middle]
    return old + [each for each in second if getattr(each, "key", each) > middle]


def _raise(error: Exception) -> Any:
    raise error


def state_of(play: Play) -> Hashable:
    """Where a play is; what comes twice is absorbed, so equal states have equal futures unless somebody waits."""
    letters = frozenset(letter.identity for letter in (*play.bag, *play.later))
    return restless(play.cloud), letters, frozenset(play.heard)


def waiting_state(play: Play) -> Hashable:
    """Where a play is in which somebody may wait for a lease: with claims, time, and what was said."""
    claims = frozenset(key for key in play.cloud.state._generations if "/claims/" in key)
    fates = tuple(sorted((*play.cloud.vertex.fates.items(), *play.cloud.services.fates.items())))
    later = frozenset(letter.identity for letter in play.later)
    return state_of(play), claims, play.cloud.time, fates, later, frozenset(play.said), play.given_up
