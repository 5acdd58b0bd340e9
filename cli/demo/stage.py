"""Where the acts are played: what they can do, what they wait for, and how an act ends otherwise than told."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console

from cli.connection import say
from cli.demo.story import Act, Story
from cli.demo.timeline import Timeline
from cli.demo.traffic import Clients
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.errors import SerinError, Transient
from shared.events import Event, Notification
from shared.ids import ModelName
from shared.ledger import Author, Ledger
from shared.serving import ServingBackend
from shared.settings import Backend

MODEL = ModelName("digits")
_PATIENCE_SECONDS = 20.0
_AGAIN_SECONDS = 0.3
T = TypeVar("T")


class OtherwiseEndedError(SerinError):
    """An act that did not end as told."""


@dataclass
class Stage:
    """Where the acts are played; `patience` makes every wait so many times longer."""

    cloud: Cloud
    timeline: Timeline
    story: Story
    console: Console
    crowd: Clients | None = None
    patience: float = 1.0
    backend: Backend = "vertex"

    @property
    def serving(self) -> ServingBackend:
        """What serves the model in this play."""
        return self.cloud.run_services if self.backend == "cloud_run" else self.cloud.vertex

    def drop(self, act: Act) -> int:
        """Drops the act's files; answers the mark from which to listen."""
        mark = self.timeline.mark()
        for file in act.files:
            self.put(f"data/{MODEL}/{file.name}", file.content)
        return mark

    def put(self, name: str, content: bytes) -> None:
        """Drops one file."""
        self.persistently(lambda: self.cloud.data.create(name, content))

    def say(self, event: Event, name: str) -> None:
        """Publishes a person's event; said twice, it is the same event."""
        self.persistently(lambda: say(self.cloud, event, name))

    def expect(self, mark: int, kind: type[Event], what: str, seconds: float, **fields: object) -> Envelope:
        """The first event of a kind with these fields after the mark; ends the act when it does not come."""

        def wanted(envelope: Envelope) -> bool:
            payload = envelope.payload
            return isinstance(payload, kind) and all(getattr(payload, name) == value for name, value in fields.items())

        with self.console.status(f"waiting for {what}"):
            found = self.timeline.wait(mark, wanted, seconds * self.patience)
        if found is None:
            raise OtherwiseEndedError(f"{what} did not come within {seconds * self.patience:.0f} s")
        return found

    def notice(self, mark: int, words: str, seconds: float) -> Notification:
        """The first notice after the mark whose title holds these words."""

        def wanted(envelope: Envelope) -> bool:
            return isinstance(envelope.payload, Notification) and words in envelope.payload.title

        with self.console.status(f"waiting for the notice “{words}”"):
            found = self.timeline.wait(mark, wanted, seconds * self.patience)
        if found is None:
            raise OtherwiseEndedError(f"the notice “{words}” did not come within {seconds * self.patience:.0f} s")
        assert isinstance(found.payload, Notification)
        return found.payload

    def ledger(self) -> Ledger:
        return Ledger(self.cloud.state, Author("demo", None, None, self.cloud.now, self.cloud.token))

    def check(self, truth: bool, otherwise: str) -> None:
        if not truth:
            raise OtherwiseEndedError(otherwise)

    def persistently(self, ask: Callable[[], T]) -> T:
        """What is asked, asked again while the cloud cannot answer: a person would do the same."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return ask()
            except Transient:
                if time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_SECONDS)
