"""The CloudEvent around a payload, and its way onto Pub/Sub and back (binary binding: `ce-` attributes, JSON data)."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from shared.errors import BadInput
from shared.events import BY_TYPE, Event

_PUBSUB_TYPE = "google.cloud.pubsub.topic.v1.messagePublished"
_REQUIRED = ("id", "source", "type", "time")


@dataclass(frozen=True)
class Envelope:
    """One event as it travels: `cause` is the id of the event that led to it, `traceparent` W3C trace context."""

    id: str
    source: str
    time: datetime
    payload: Event
    cause: str | None = None
    traceparent: str | None = None

    @property
    def topic(self) -> str:
        return self.payload.topic

    def attributes(self) -> dict[str, str]:
        """The message attributes of the Pub/Sub binding."""
        run = getattr(self.payload, "run", None)
        optional = {"run": run, "cause": self.cause, "traceparent": self.traceparent}
        return {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-source": self.source,
            "ce-type": self.payload.type_name(),
            "ce-time": self.time.isoformat(),
            "ce-subject": run or self.payload.model,
            "ce-model": self.payload.model,
            "content-type": "application/json",
            **{f"ce-{name}": value for name, value in optional.items() if value},
        }

    def data(self) -> bytes:
        """The payload as JSON."""
        return self.payload.model_dump_json(exclude_none=True).encode()

    def to_json(self) -> dict[str, Any]:
        """The whole event as a record keeps it."""
        return {"attributes": self.attributes(), "data": json.loads(self.data())}


@dataclass(frozen=True)
class Message:
    """A delivered message before anybody knows what it means."""

    attributes: Mapping[str, str]
    data: bytes
    id: str = ""


def from_json(kept: Mapping[str, Any]) -> Envelope:
    """The event that `to_json` kept."""
    return decode(Message(kept["attributes"], json.dumps(kept["data"]).encode()))


def received(attributes: Mapping[str, Any], data: object) -> Message:
    """The message inside a CloudEvent that functions-framework hands over.

    Either a Pub/Sub push, which the framework wraps, or one of our own CloudEvents posted straight to the function.
    Raises BadInput when it is neither.
    """
    if attributes.get("type") == _PUBSUB_TYPE:
        return _pushed(data)
    named = {f"ce-{name}": str(value) for name, value in attributes.items()}
    return Message(named, data if isinstance(data, bytes) else json.dumps(data).encode())


def decode(message: Message) -> Envelope:
    """The event in a message; raises BadInput with every reason why there is none."""
    attributes = message.attributes
    reasons = [f"attribute ce-{name} is missing" for name in _REQUIRED if not attributes.get(f"ce-{name}")]
    kind = BY_TYPE.get(attributes.get("ce-type", ""))
    if kind is None and attributes.get("ce-type"):
        reasons.append("ce-type is no event of ours")
    time, wrong_time = _time(attributes.get("ce-time"))
    reasons += wrong_time
    payload, wrong_payload = _payload(kind, message.data)
    reasons += wrong_payload
    if reasons or payload is None or time is None:
        raise BadInput("event", reasons)
    return Envelope(
        attributes["ce-id"], attributes["ce-source"], time, payload, attributes.get("ce-cause"),
        attributes.get("ce-traceparent"),
    )  # fmt: skip


def _payload(kind: type[Event] | None, data: bytes) -> tuple[Event | None, list[str]]:
    if kind is None:
        return None, []
    try:
        return kind.model_validate_json(data), []
    except ValidationError as error:
        return None, [
            f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['msg']}" for e in error.errors(include_input=False)
        ]


def time_of(attributes: Mapping[str, str]) -> datetime | None:
    """When a message was said: a CloudEvent's time, a storage notification's, or nothing that can be read."""
    try:
        said = datetime.fromisoformat(attributes.get("ce-time") or attributes.get("eventTime") or "")
    except ValueError:
        return None
    return said if said.tzinfo else None


def _time(text: str | None) -> tuple[datetime | None, list[str]]:
    if not text:
        return None, []
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None, ["attribute ce-time is not a time"]
    return (time, []) if time.tzinfo else (None, ["attribute ce-time has no zone"])


def _pushed(data: object) -> Message:
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise BadInput("push request", ["message is missing"])
    attributes = message.get("attributes") or {}
    try:
        body = base64.b64decode(message.get("data") or "", validate=True)
    except (binascii.Error, TypeError) as error:
        raise BadInput("push request", ["message.data is not base64"]) from error
    named = {str(name): str(value) for name, value in attributes.items()}
    return Message(named, body, str(message.get("messageId") or ""))
