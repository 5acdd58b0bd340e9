"""The step runner: what stands between a delivery and the thought of a function.

    delivery ─► decode ─► handler(event, step) ─► publish what the ledger holds ─► answered
                  │            │
                  │            ├ BadInput   recorded, told, acknowledged
                  └ BadInput   ├ NotYet, Transient   raised: delivered again
                               └ all else   noted by its traceback's id, raised: delivered again, then dead-lettered

A function publishes only after its record is committed, under ids that follow from the record: whoever crashes in
between publishes the same events again, and the next function's own record absorbs them.
"""

import hashlib
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.envelope import Envelope, Message, decode, received
from shared.environment import Cloud, open_cloud
from shared.errors import BadInput, NotYet, Transient
from shared.events import Event, Notification
from shared.foreign import ClockTicked, DeadLetter, ObjectFinalized
from shared.ids import ModelName
from shared.ledger import Author, Ledger, Outcome
from shared.trace import continued

E = TypeVar("E", bound=Event)
_NOBODY = ModelName("unknown")


@dataclass(frozen=True)
class Step:
    """What a handler works with: the outside world and the ledger in the handler's own name."""

    function: str
    cloud: Cloud
    ledger: Ledger
    cause: str | None = None


Events = Iterable[Envelope]
Handler = Callable[[E, Step], Events]


def handle(cloud_event: Any, function: str, handlers: Mapping[type[Event], Handler[Any]]) -> None:
    """Carries one delivery of our own events to the handler of its type."""

    def act(message: Message, cloud: Cloud) -> Events:
        envelope = decode(message)
        handler = handlers.get(type(envelope.payload))
        if handler is None:
            raise BadInput("event", [f"{function} does not handle {envelope.payload.type_name()}"])
        return handler(envelope.payload, _step(function, cloud, envelope.id, envelope.traceparent))

    _deliver(cloud_event, function, act)


def handle_object(
    cloud_event: Any, function: str, prefix: str, handler: Callable[[ObjectFinalized, Step], Events]
) -> None:
    """Carries a storage notification below a prefix to the handler; other notifications are none of its business."""

    def act(message: Message, cloud: Cloud) -> Events:
        arrived = ObjectFinalized.from_attributes(message.attributes)
        if arrived is None or not arrived.name.startswith(prefix):
            return ()
        if arrived.bucket != cloud.environment.data_bucket:
            raise BadInput("storage notification", ["the bucket is not this installation's data bucket"])
        return handler(arrived, _step(function, cloud, f"{arrived.bucket}/{arrived.name}#{arrived.generation}", None))

    _deliver(cloud_event, function, act)


def handle_tick(cloud_event: Any, function: str, handler: Callable[[ClockTicked, Step], Events]) -> None:
    """Carries a tick of the clock to the handler."""

    def act(message: Message, cloud: Cloud) -> Events:
        return handler(ClockTicked(), _step(function, cloud, f"clock-ticked#{message.id}", None))

    _deliver(cloud_event, function, act)


def handle_dead_letter(cloud_event: Any, function: str, handler: Callable[[DeadLetter, Step], Events]) -> None:
    """Carries a dead letter to the handler, whatever it once was."""

    def act(message: Message, cloud: Cloud) -> Events:
        source = "CloudPubSubDeadLetterSource"
        letter = DeadLetter(
            subscription=message.attributes.get(f"{source}Subscription", "unknown"),
            attempts=int(message.attributes.get(f"{source}DeliveryCount", "0")),
            attributes={name: value for name, value in message.attributes.items() if not name.startswith(source)},
            data=message.data,
        )
        return handler(letter, _step(function, cloud, message.attributes.get("ce-id"), None))

    _deliver(cloud_event, function, act)


def publish(cloud: Cloud, envelope: Envelope) -> None:
    """Publishes one event on its topic."""
    cloud.bus.publish(envelope.topic, envelope.data(), envelope.attributes())


def _deliver(cloud_event: Any, function: str, act: Callable[[Message, Cloud], Events]) -> None:
    cloud = open_cloud()
    identity: str | None = None
    try:
        message = received(cloud_event.get_attributes(), cloud_event.get_data())
        identity = message.attributes.get("ce-id")
        follow = list(act(message, cloud))
    except BadInput as bad:
        follow = [_refusal(bad, function, cloud, identity)]
    except (NotYet, Transient) as later:
        _log("INFO", function, identity, str(later))
        raise
    except Exception as bug:
        _log("ERROR", function, identity, f"bug {_note_bug(bug, function, cloud, identity)}")
        raise
    for envelope in follow:
        publish(cloud, envelope)
        _log("INFO", function, identity, f"published {envelope.payload.type_name()}", envelope.id)


def _step(function: str, cloud: Cloud, cause: str | None, traceparent: str | None) -> Step:
    trace = continued(traceparent, function, cause) if cause else traceparent
    author = Author(function, cause, trace, cloud.now, cloud.token)
    return Step(function, cloud, Ledger(cloud.state, author), cause)


def _refusal(bad: BadInput, function: str, cloud: Cloud, identity: str | None) -> Envelope:
    """The notice about bad input, kept in the ledger under what it is about."""
    about = hashlib.sha256(f"{function}\0{identity}\0{bad}".encode()).hexdigest()[:20]
    notice = Notification(
        model=_NOBODY,
        severity="warning",
        title=f"{function} refused an event: {bad.what}"[:200],
        why=bad.reasons,
        next="mend what is named and send it again",
    )
    step = _step(function, cloud, identity, None)
    data = {"event": identity, "what": bad.what, "reasons": list(bad.reasons)}
    return step.ledger.once(f"refused/{function}/{about}", lambda: Outcome(data, (notice,))).events[0]


def _note_bug(bug: Exception, function: str, cloud: Cloud, identity: str | None) -> str:
    """Keeps where a bug happened (never what it said: that may quote data) and answers the traceback's id."""
    frames = [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in traceback.extract_tb(bug.__traceback__)]
    trace = hashlib.sha256("\n".join([type(bug).__name__, *frames]).encode()).hexdigest()[:12]
    about = hashlib.sha256((identity or "").encode()).hexdigest()[:20]
    try:
        data = {
            "event": identity,
            "exception": type(bug).__name__,
            "frames": [frame.rsplit("/", 1)[-1] for frame in frames],
        }
        _step(function, cloud, identity, None).ledger.once(f"bugs/{function}/{about}/{trace}", lambda: Outcome(data))
    except (
        Exception
    ) as unwritten:  # the delivery fails with the bug itself; that it could not be noted is said beside it
        _log("ERROR", function, identity, f"bug {trace} was not noted: {type(unwritten).__name__}")
    return trace


def _log(severity: str, function: str, event: str | None, message: str, published: str | None = None) -> None:
    line = {"severity": severity, "function": function, "event": event, "message": message, "published": published}
    sys.stdout.write(json.dumps({name: value for name, value in line.items() if value is not None}) + "\n")
    sys.stdout.flush()
