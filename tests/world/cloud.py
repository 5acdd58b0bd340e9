"""The whole outside world in memory, with a clock that only tests move and a door where effects can fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.door import Door
from shared.envelope import Envelope, Message, decode
from shared.environment import Environment, read_environment
from shared.spans import Span
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
    messages: list[tuple[str, Message]] = field(default_factory=list)
    history: list[tuple[str, Message]] = field(default_factory=list)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
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


class MemoryCloud:
    """Implements shared.environment.Cloud."""

    def __init__(self, variables: Mapping[str, str] | None = None, door: Any = None) -> None:
        self.environment: Environment = read_environment({**VARIABLES, **(variables or {})})
        self.time = START
        self.door: Any = door or FaultyDoor()
        self.data = MemoryStore("data", self.now, self.door)
        self.state = MemoryStore("state", self.now, self.door)
        self.artefacts = MemoryStore("artefacts", self.now, self.door)
        self.bus = MemoryBus(self.door)
        self.vertex = MemoryVertex(self.now, self.door)
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
