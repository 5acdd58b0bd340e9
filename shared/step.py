"""The step runner: what stands between a delivery and the thought of a function.

    delivery ─► trusted? ─► decode ─► handler(event, step) ─► publish what the ledger holds ─► answered
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
from shared.errors import BadInput, NotYet, Transient, Untrusted
from shared.events import Event, Notification
from shared.foreign import ClockTicked, DeadLetter, ObjectFinalized, generation_of
from shared.ids import ModelName
from shared.ledger import POSTED, Author, Ledger, Origin, Outcome, Record, bugs_prefix, notice_key
from shared.logs import Log
from shared.push_token import check, keys_at
from shared.spans import Span
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

    @property
    def said(self) -> datetime | None:
        """When what is handled was said; None where it does not say."""
        origin = self.ledger.author.origin
        return origin.said if origin else None

    def unheard(self, record: Record) -> "Events":
        """A record's events without the notices that `notify` has taken in.

        For what is looked at again and again: whoever crashed between a record and its notice is made good by the
        next look, and nobody hears the same with every report.
        """
        return tuple(event for event in record.events if not self._heard(event))

    def until_heard(self, record: Record) -> "Events":
        """All of a record's events, for as long as `notify` has not taken its notices in; none if it has none.

        For who finds what another delivery has recorded, which may have died before it published.
        """
        notices = [event for event in record.events if isinstance(event.payload, Notification)]
        return () if all(map(self._heard, notices)) else record.events

    def _heard(self, event: Envelope) -> bool:
        return isinstance(event.payload, Notification) and self.ledger.find(notice_key(event.id, POSTED)) is not None


Events = Iterable[Envelope]
Handler = Callable[[E, Step], Events]


def handle(cloud_event: Any, function: str, handlers: Mapping[type[Event], Handler[Any]]) -> None:
    """Carries one delivery of our own events to the handler of its type."""

    def act(message: Message, step: Step) -> Events:
        envelope = decode(message)
        handler = handlers.get(type(envelope.payload))
        if handler is None:
            raise BadInput("event", [f"{function} does not handle {envelope.payload.type_name()}"])
        return handler(envelope.payload, step)

    _deliver(cloud_event, function, act, _event_id)


def handle_object(
    cloud_event: Any, function: str, prefix: str, handler: Callable[[ObjectFinalized, Step], Events]
) -> None:
    """Carries a storage notification below a prefix to the handler; other notifications are none of its business."""

    def act(message: Message, step: Step) -> Events:
        arrived = ObjectFinalized.from_attributes(message.attributes)
        if arrived is None or not arrived.name.startswith(prefix):
            return ()
        if arrived.bucket != step.cloud.environment.data_bucket:
            raise BadInput("storage notification", ["the bucket is not this installation's data bucket"])
        return handler(arrived, step)

    _deliver(cloud_event, function, act, generation_of)


def handle_tick(cloud_event: Any, function: str, handler: Callable[[ClockTicked, Step], Events]) -> None:
    """Carries a tick of the clock to the handler."""

    def act(_: Message, step: Step) -> Events:
        return handler(ClockTicked(), step)

    _deliver(cloud_event, function, act, lambda message: f"clock-ticked#{message.id}")


def handle_dead_letter(cloud_event: Any, function: str, handler: Callable[[DeadLetter, Step], Events]) -> None:
    """Carries a dead letter to the handler, whatever it once was."""

    def act(message: Message, step: Step) -> Events:
        source = "CloudPubSubDeadLetterSource"
        letter = DeadLetter(
            subscription=message.attributes.get(f"{source}Subscription", "unknown"),
            attempts=_count(message.attributes.get(f"{source}DeliveryCount", "")),
            attributes={name: value for name, value in message.attributes.items() if not name.startswith(source)},
            data=message.data,
            published=message.attributes.get(f"{source}TopicPublishTime", ""),
        )
        return handler(letter, step)

    _deliver(cloud_event, function, act, _event_id)


def _count(text: str) -> int:
    """A number as somebody wrote it; 0 for what is none, since a dead letter is kept whatever it says."""
    try:
        return int(text)
    except ValueError:
        return 0


def publish(cloud: Cloud, envelope: Envelope) -> None:
    """Publishes one event on its topic."""
    cloud.bus.publish(envelope.topic, envelope.data(), envelope.attributes())


def _event_id(message: Message) -> str | None:
    return message.attributes.get("ce-id")


def _deliver(
    cloud_event: Any, function: str, act: Callable[[Message, Step], Events], cause_of: Callable[[Message], str | None]
) -> None:
    cloud, begun = open_cloud(), time.perf_counter()
    began, outcome, lag = cloud.now(), "failed", None
    step, parent = _step(function, cloud, Message({}, b""), None), None
    try:
        try:
            _trust(function, cloud)
            message = received(cloud_event.get_attributes(), cloud_event.get_data())
            step, parent = _step(function, cloud, message, cause_of(message)), message.attributes.get("ce-traceparent")
            lag = _lag_seconds(message.attributes, began)
            follow, answered = list(act(message, step)), "done"
        except BadInput as bad:
            follow, answered = [_refusal(bad, step)], "refused"
        for envelope in follow:
            publish(cloud, envelope)
            step.log.say("INFO", f"published {envelope.payload.type_name()}", published=envelope.id)
        outcome = answered
    except (NotYet, Transient) as later:
        outcome = "later"
        step.log.say("INFO", str(later))
        raise
    except Untrusted as stranger:
        outcome = "untrusted"
        step.log.say("WARNING", str(stranger))
        raise _forbidden() from None
    except Exception as bug:
        step.log.say("ERROR", f"bug {_note_bug(bug, step)}")
        raise
    finally:
        seconds = round(time.perf_counter() - begun, 4)
        step.log.say("INFO", "handled", outcome=outcome, seconds=seconds, lag_seconds=lag)
        _export(step, parent, began, outcome)


def _trust(function: str, cloud: Cloud) -> None:
    """Untrusted unless the delivery carries the token that is asked for, where one is."""
    pusher = cloud.environment.pusher
    if pusher is not None:
        from flask import request  # the framework's own: a CloudEvent does not tell the headers it came with

        header = request.headers.get("Authorization")
        keys = keys_at(pusher.keys_url)
        check(header, pusher, function, lambda key_id: keys.known(key_id, cloud.now(), cloud.door))


def _forbidden() -> Exception:
    from werkzeug.exceptions import Forbidden  # answered with its code

    return Forbidden()


def _lag_seconds(attributes: Mapping[str, str], now: datetime) -> float | None:
    """How long ago it was said, what is delivered now; None where it does not say."""
    said = time_of(attributes)
    return round((now - said).total_seconds(), 3) if said else None


def _step(function: str, cloud: Cloud, message: Message, cause: str | None) -> Step:
    before = message.attributes.get("ce-traceparent")
    trace = continued(before, function, cause) if cause else before
    origin = Origin(cause, time_of(message.attributes), cloud.now()) if cause else None
    ledger = Ledger(cloud.state, Author(function, cause, trace, cloud.now, cloud.token, origin))
    log = replace(Log(function, cloud.environment.project).about(message.attributes, trace), event=cause)
    return Step(function, cloud, ledger, log, cause)


def _export(step: Step, parent: str | None, began: datetime, outcome: str) -> None:
    log = step.log
    if log.traceparent is not None:
        known = {"serin.event": log.event, "serin.model": log.model, "serin.run": log.run}
        attributes = {name: value for name, value in known.items() if value is not None}
        now = step.cloud.now()
        step.cloud.spans.export(Span(step.function, log.traceparent, parent, began, now, outcome, attributes))


def _refusal(bad: BadInput, step: Step) -> Envelope:
    """The notice about bad input, kept in the ledger under what it is about."""
    about = hashlib.sha256(f"{step.function}\0{step.cause}\0{bad}".encode()).hexdigest()[:20]
    notice = Notification(
        model=_NOBODY,
        severity="warning",
        title=f"{step.function} refused an event: {bad.what}"[:200],
        why=bad.reasons,
        next="mend what is named and send it again",
    )
    data = {"event": step.cause, "what": bad.what, "reasons": list(bad.reasons)}
    return step.ledger.once(f"refused/{step.function}/{about}", lambda: Outcome(data, (notice,))).events[0]


def _note_bug(bug: Exception, step: Step) -> str:
    """Keeps where a bug happened (never what it said: that may quote data) and answers the traceback's id."""
    frames = [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in traceback.extract_tb(bug.__traceback__)]
    trace = hashlib.sha256("\n".join([type(bug).__name__, *frames]).encode()).hexdigest()[:12]
    kept = [frame.rsplit("/", 1)[-1] for frame in frames]
    data = {"event": step.cause, "exception": type(bug).__name__, "frames": kept}
    try:
        step.ledger.once(f"{bugs_prefix(step.function, step.cause)}{trace}", lambda: Outcome(data))
    except Exception as unwritten:  # the delivery fails with the bug itself; that this was not noted is said beside it
        step.log.say("ERROR", f"bug {trace} was not noted: {type(unwritten).__name__}")
    return trace
