"""What happens, as it happens: every event of the demo, heard on its topic, printed once and kept in a file."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from shared.envelope import Envelope, Message, decode
from shared.environment import Cloud
from shared.events import CATALOGUE, EvidenceReported, OutcomesObserved
from shared.wiring import TOPICS

_UNTOLD = (EvidenceReported, OutcomesObserved)  # several a second: they show as the running numbers of the canary
_COLOURS = {"info": "green", "warning": "yellow", "error": "red"}


class Timeline:
    """Every event that was heard, in the order in which it came."""

    def __init__(self, console: Console, path: Path) -> None:
        self._console = console
        self._path = path
        self._changed = threading.Condition()
        self._events: list[Envelope] = []
        self._seen: set[str] = set()
        self._started = time.monotonic()

    def hear(self, message: Any) -> None:
        """Takes a message of a subscription in; what was heard before is only acknowledged."""
        envelope = decode(Message(dict(message.attributes), bytes(message.data)))
        with self._changed:
            if envelope.id not in self._seen:
                self._seen.add(envelope.id)
                self._events.append(envelope)
                self._tell(envelope)
                self._changed.notify_all()
        message.ack()

    def mark(self) -> int:
        """A place to look from: what has been heard so far."""
        with self._changed:
            return len(self._events)

    def since(self, mark: int) -> list[Envelope]:
        """What was heard after a mark."""
        with self._changed:
            return self._events[mark:]

    def wait(self, mark: int, wanted: Callable[[Envelope], bool], seconds: float) -> Envelope | None:
        """The first event after the mark that is wanted; None if it does not come in time."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                found = next((event for event in self._events[mark:] if wanted(event)), None)
                if found is not None or (left := end - time.monotonic()) <= 0:
                    return found
                self._changed.wait(left)

    def _tell(self, envelope: Envelope) -> None:
        with self._path.open("a") as kept:
            kept.write(json.dumps(envelope.to_json()) + "\n")
        payload = envelope.payload
        if isinstance(payload, _UNTOLD):
            return
        elapsed = time.monotonic() - self._started
        function = envelope.source.rsplit("/", 1)[-1]
        told = payload.model_dump(mode="json", exclude_none=True)
        colour = _COLOURS.get(str(told.get("severity", "")), "cyan")
        self._console.print(
            f"[dim]{elapsed:6.1f} s[/dim]  [{colour}]{envelope.topic:21}[/] {function:17} {_line(told)}"
        )
        for reason in told.get("why") or told.get("reasons") or ():
            self._console.print(f"{'':51}[dim]{reason}[/dim]", markup=True, highlight=False)


def _line(told: dict[str, Any]) -> str:
    """The few words of a payload that a person wants first."""
    wanted = ("title", "run", "score", "rollout", "percent", "version", "reason", "rows", "by", "because", "what")
    if "title" in told:
        return str(told["title"])
    return "  ".join(f"{name} {told[name]}" for name in wanted if name in told)


@contextmanager
def listening(cloud: Cloud, timeline: Timeline) -> Iterator[None]:
    """Subscribes to every topic of ours for as long as the block runs."""
    from google.cloud import pubsub_v1

    project = cloud.environment.project
    ours = {event.topic for event in CATALOGUE}
    with pubsub_v1.SubscriberClient() as subscriber:
        pulls = []
        for topic in (each for each in TOPICS if each in ours):
            name = f"projects/{project}/subscriptions/demo.{topic}"
            subscriber.create_subscription(name=name, topic=f"projects/{project}/topics/{topic}")
            pulls.append(subscriber.subscribe(name, timeline.hear))
        yield
        for pull in pulls:
            pull.cancel()
            pull.result()
