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
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from shared.envelope import Envelope, Message, decode, received, time_of
from shared.environment import Cloud, open_cloud
from shared.errors import BadInput, NotYet, Transient
from shared.events import Event, Notification
from shared.foreign import ClockTicked, DeadLetter, ObjectFinalized
from shared.ids import ModelName
from shared.ledger import Author, Ledger, Origin, Outcome
from shared.logs import Log
from shared.trace import continued

E = TypeVar("E", bound=Event)
_NOBODY = ModelName("unknown")


@dataclass(frozen=True)
class Step:
    """What a handler works with: the outside world, the ledger in the handler's own name, and the delivery's log."""

    function: str
    cloud: Cloud
    ledger: Ledger
    log: Log
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
        step = _step(function, cloud, message, envelope.id, envelope.traceparent)
        return handler(envelope.payload, step)

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
        cause = f"{arrived.bucket}/{arrived.name}#{arrived.generation}"
        return handler(arrived, _step(function, cloud, message, cause))

    _deliver(cloud_event, function, act)


def handle_tick(cloud_event: Any, function: str, handler: Callable[[ClockTicked, Step], Events]) -> None:
    """Carries a tick of the clock to the handler."""

    def act(message: Message, cloud: Cloud) -> Events:
        return handler(ClockTicked(), _step(function, cloud, message, f"clock-ticked#{message.id}"))

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
        return handler(letter, _step(function, cloud, message, message.attributes.get("ce-id")))

    _deliver(cloud_event, function, act)


def publish(cloud: Cloud, envelope: Envelope) -> None:
    """Publishes one event on its topic."""
    cloud.bus.publish(envelope.topic, envelope.data(), envelope.attributes())


def _deliver(cloud_event: Any, function: str, act: Callable[[Message, Cloud], Events]) -> None:
    cloud, begun = open_cloud(), time.perf_counter()
    log, outcome, lag = Log(function, cloud.environment.project), "failed", None
    try:
        try:
            message = received(cloud_event.get_attributes(), cloud_event.get_data())
            log, lag = log.about(message.attributes), _lag_seconds(message.attributes, cloud.now())
            follow, answered = list(act(message, cloud)), "done"
        except BadInput as bad:
            follow, answered = [_refusal(bad, log, cloud)], "refused"
        for envelope in follow:
            publish(cloud, envelope)
            log.say("INFO", f"published {envelope.payload.type_name()}", published=envelope.id)
        outcome = answered
    except (NotYet, Transient) as later:
        outcome = "later"
        log.say("INFO", str(later))
        raise
    except Exception as bug:
        log.say("ERROR", f"bug {_note_bug(bug, log, cloud)}")
        raise
    finally:
        seconds = round(time.perf_counter() - begun, 4)
        log.say("INFO", "handled", outcome=outcome, seconds=seconds, lag_seconds=lag)


def _lag_seconds(attributes: Mapping[str, str], now: datetime) -> float | None:
    """How long ago it was said, what is delivered now; None where it does not say."""
    said = time_of(attributes)
    return round((now - said).total_seconds(), 3) if said else None


def _step(function: str, cloud: Cloud, message: Message, cause: str | None, traceparent: str | None = None) -> Step:
    ledger = _ledger(function, cloud, cause, traceparent, time_of(message.attributes))
    log = Log(function, cloud.environment.project).about(message.attributes)
    return Step(function, cloud, ledger, replace(log, event=cause, traceparent=ledger.author.traceparent), cause)


def _ledger(
    function: str, cloud: Cloud, cause: str | None, traceparent: str | None, said: datetime | None = None
) -> Ledger:
    trace = continued(traceparent, function, cause) if cause else traceparent
    origin = Origin(cause, said, cloud.now()) if cause else None
    return Ledger(cloud.state, Author(function, cause, trace, cloud.now, cloud.token, origin))


def _refusal(bad: BadInput, log: Log, cloud: Cloud) -> Envelope:
    """The notice about bad input, kept in the ledger under what it is about."""
    about = hashlib.sha256(f"{log.function}\0{log.event}\0{bad}".encode()).hexdigest()[:20]
    notice = Notification(
        model=_NOBODY,
        severity="warning",
        title=f"{log.function} refused an event: {bad.what}"[:200],
        why=bad.reasons,
        next="mend what is named and send it again",
    )
    data = {"event": log.event, "what": bad.what, "reasons": list(bad.reasons)}
    ledger = _ledger(log.function, cloud, log.event, log.traceparent)
    return ledger.once(f"refused/{log.function}/{about}", lambda: Outcome(data, (notice,))).events[0]


def _note_bug(bug: Exception, log: Log, cloud: Cloud) -> str:
    """Keeps where a bug happened (never what it said: that may quote data) and answers the traceback's id."""
    frames = [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in traceback.extract_tb(bug.__traceback__)]
    trace = hashlib.sha256("\n".join([type(bug).__name__, *frames]).encode()).hexdigest()[:12]
    about = hashlib.sha256((log.event or "").encode()).hexdigest()[:20]
    kept = [frame.rsplit("/", 1)[-1] for frame in frames]
    data = {"event": log.event, "exception": type(bug).__name__, "frames": kept}
    try:
        ledger = _ledger(log.function, cloud, log.event, log.traceparent)
        ledger.once(f"bugs/{log.function}/{about}/{trace}", lambda: Outcome(data))
    except Exception as unwritten:  # the delivery fails with the bug itself; that this was not noted is said beside it
        log.say("ERROR", f"bug {trace} was not noted: {type(unwritten).__name__}")
    return trace
