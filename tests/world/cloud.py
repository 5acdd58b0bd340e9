"""The whole outside world in memory, with a clock that only tests move and a door where effects can fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.door import Door
from shared.envelope import Envelope, Message, decode
from shared.environment import Environment, read_environment
from shared.jobs import TrainingBackend
from shared.run_services import CloudRunServices, Wires
from shared.serving import ServingBackend
from shared.spans import Span
from tests.world.permissions import EVERY_USE, Unpermitted, permitted
from tests.world.run import MemoryJobs, MemoryRunJobs, MemoryServices
from tests.world.storage import MemoryStore
from tests.world.vertex import MemoryVertex

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)
VARIABLES = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "SERIN_DATA_BUCKET": "data",
    "SERIN_STATE_BUCKET": "state",
    "SERIN_ARTEFACTS_BUCKET": "artefacts",
    "SERIN_TRAINING_IMAGE": "serin-training:test",
    "SERIN_SERVING_IMAGE": "serin-serving:test",
}


@dataclass
class FaultyDoor:
    """Carries effects out, and lets a test break the next one of a name: before it is done, or after."""

    before: dict[str, Exception] = field(default_factory=dict)
    after: dict[str, Exception] = field(default_factory=dict)
    meanwhile: dict[str, Callable[[], None]] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)

    def __call__(self, effect: str, act: Callable[[], T]) -> T:
        self.effects.append(effect)
        if intruder := self.meanwhile.pop(effect, None):
            intruder()
        if error := self.before.pop(effect, None):
            raise error
        answer = act()
        if error := self.after.pop(effect, None):
            raise error
        return answer


@dataclass
class MemoryBus:
    """Implements shared.bus.Bus: what was published, in order, until `take` hands it out; `history` keeps all of it."""

    door: Door
    use: Callable[[str, str], None] = lambda _thing, _effect: None
    messages: list[tuple[str, Message]] = field(default_factory=list)
    history: list[tuple[str, Message]] = field(default_factory=list)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        self.use(topic, "pubsub.publish")
        return self.door("pubsub.publish", lambda: self._keep(topic, Message(dict(attributes), data)))

    def take(self) -> list[tuple[str, Message]]:
        taken, self.messages = self.messages, []
        return taken

    def events(self) -> list[Envelope]:
        """What was published and not yet taken."""
        return [decode(message) for _, message in self.messages]

    def _keep(self, topic: str, message: Message) -> str:
        self.messages.append((topic, message))
        self.history.append((topic, message))
        return str(len(self.history))


@dataclass
class MemorySpans:
    """Implements shared.spans.Spans: what was exported, in order."""

    exported: list[Span] = field(default_factory=list)

    def export(self, span: Span) -> None:
        self.exported.append(span)


@dataclass(frozen=True)
class _Watched:
    """A door through which what is done to one thing is noted, and refused to who may not do it."""

    cloud: "MemoryCloud"
    thing: str

    def __call__(self, effect: str, act: Callable[[], T]) -> T:
        self.cloud.use(self.thing, effect)
        # What a test lets happen meanwhile is nobody's doing.
        before, self.cloud.caller = self.cloud.caller, None
        try:
            return self.cloud.door(effect, act)  # type: ignore[no-any-return]
        finally:
            self.cloud.caller = before


class MemoryCloud:
    """Implements shared.environment.Cloud; `caller` is the function that is delivered to, if any is."""

    def __init__(self, variables: Mapping[str, str] | None = None, door: Any = None) -> None:
        self.environment: Environment = read_environment({**VARIABLES, **(variables or {})})
        self.time = START
        self.door: Any = door or FaultyDoor()
        self.caller: str | None = None
        self.data = MemoryStore("data", self.now, _Watched(self, "data"))
        self.state = MemoryStore("state", self.now, _Watched(self, "state"))
        self.artefacts = MemoryStore("artefacts", self.now, _Watched(self, "artefacts"))
        self.bus = MemoryBus(self.door, self.use)
        self.vertex = MemoryVertex(self.now, _Watched(self, "vertex"))
        self.services = MemoryServices()
        wires = Wires(self.services, self.services.post, lambda _: {}, self.sleep)
        watched = _Watched(self, "run")
        self.run_services: ServingBackend = CloudRunServices(self.environment, watched, self.vertex, wires)
        self.jobs = MemoryJobs(self.now)
        self.run_jobs: TrainingBackend = MemoryRunJobs(self.environment, watched, self.jobs)
        self.at_once = False
        self.spans = MemorySpans()
        self._tokens = 0
        self.refused: list[tuple[str, Message, str]] = []

    def now(self) -> datetime:
        return self.time

    def token(self) -> str:
        self._tokens += 1
        return f"token-{self._tokens}"

    def pass_time(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Time passes for who waits for Cloud Run; with `at_once`, what it waits for is done then."""
        self.pass_time(seconds)
        if self.at_once:
            self.services.finish(starting=False)

    def use(self, thing: str, effect: str) -> None:
        """Notes what a function does; raises Unpermitted where the wiring does not give it that."""
        if self.caller is None:
            return
        use = (self.caller, thing, effect)
        EVERY_USE.add(use)
        if not permitted(use):
            raise Unpermitted(use)
