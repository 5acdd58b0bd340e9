"""Every topic in two forms, both made from the catalogue and the wiring: a table for people, AsyncAPI for programs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.events import CATALOGUE, Event, RunEvent
from shared.foreign import CLOCK_TICKED, DATA_UPLOADED, DEAD_LETTERS
from shared.wiring import SUBSCRIPTIONS

EXAMPLES = Path(__file__).parents[2] / "tests" / "events"
_FOREIGN = {
    DATA_UPLOADED: "A new object in the data bucket, as Cloud Storage announces it: `objectId`, `objectGeneration`, …",
    CLOCK_TICKED: "A tick of Cloud Scheduler; it says nothing but that time has passed.",
    DEAD_LETTERS: "A message that a function could not handle, with the attributes that Pub/Sub adds.",
}
_OPTIONAL_HEADERS = ("ce-run", "ce-cause", "ce-traceparent")
_HEADERS: Mapping[str, str] = {
    "ce-specversion": "always 1.0",
    "ce-id": "the event's identity; the same event published again has the same",
    "ce-source": "who says it: //serin/<function>",
    "ce-type": "what it says",
    "ce-time": "when it was first said",
    "ce-subject": "the run, or the model where no run is meant",
    "ce-model": "the model",
    "content-type": "application/json",
    "ce-run": "the run",
    "ce-cause": "the id of the event that led to this one",
    "ce-traceparent": "W3C trace context",
}


def table() -> str:
    """The topics as a Markdown table: what each carries and who hears it."""
    rows = ["| topic | type | what it says | who hears it |", "|---|---|---|---|"]
    rows += [_row(f"`{each.topic}`", f"`{each.type_name()}`", _said(each), _hearers(each.topic)) for each in CATALOGUE]
    rows += [_row(f"`{topic}`", "", told, _hearers(topic)) for topic, told in _FOREIGN.items()]
    return "\n".join(rows) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def asyncapi() -> str:
    """The AsyncAPI 3.0 document, with an example of every event."""
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Serin",
            "version": "1",
            "description": "The events of Serin: CloudEvents 1.0 in Pub/Sub's binary binding, one type per topic.",
        },
        "defaultContentType": "application/json",
        "channels": {each.topic: _channel(each) for each in CATALOGUE},
        "operations": {f"{function}.{topic}": _operation(topic, function) for topic, function in _heard()},
        "components": {
            "messages": {each.topic: _message(each) for each in CATALOGUE},
            "messageTraits": {"cloudEvent": {"headers": _headers(required=_always())}},
            "schemas": _schemas(),
        },
    }
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120))


def _channel(event: type[Event]) -> dict[str, Any]:
    message = {event.topic: {"$ref": f"#/components/messages/{event.topic}"}}
    return {"address": event.topic, "description": _said(event), "messages": message}


def _heard() -> list[tuple[str, str]]:
    ours = {event.topic for event in CATALOGUE}
    return [(each.topic, each.function) for each in SUBSCRIPTIONS if each.topic in ours]


def _operation(topic: str, function: str) -> dict[str, Any]:
    return {"action": "receive", "channel": {"$ref": f"#/channels/{topic}"}, "summary": f"{function} handles it"}


def _message(event: type[Event]) -> dict[str, Any]:
    example = json.loads((EXAMPLES / f"{event.topic}.json").read_text())
    return {
        "name": event.type_name(),
        "summary": _said(event),
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "examples": [{"name": event.topic, "headers": example["attributes"], "payload": example["data"]}],
    }


def _headers(required: list[str]) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": told} for name, told in _HEADERS.items()}
    return {"type": "object", "required": required, "properties": properties}


def _always() -> list[str]:
    return [name for name in _HEADERS if name not in _OPTIONAL_HEADERS]


def _schemas() -> dict[str, Any]:
    """The payloads' JSON schemas, what they share beside them."""
    found: dict[str, Any] = {}
    for event in CATALOGUE:
        schema = event.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[event.__name__] = schema
    return dict(sorted(found.items()))


def _said(event: type[Event]) -> str:
    assert event.__doc__ is not None and event.__doc__ != RunEvent.__doc__
    return " ".join(event.__doc__.split())


def _hearers(topic: str) -> str:
    return ", ".join(f"`{each.function}`" for each in SUBSCRIPTIONS if each.topic == topic) or "whoever subscribes"
