"""Runs the real functions in the world in memory: messages go through functions-framework to whoever subscribes."""

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from functions_framework import create_app

from shared.envelope import Envelope, Message
from shared.environment import using
from shared.foreign import CLOCK_TICKED, DATA_UPLOADED
from shared.wiring import SUBSCRIPTIONS, Subscription
from tests.world.cloud import MemoryCloud

FUNCTIONS = Path(__file__).parents[2] / "functions"
_MAX_ROUNDS = 60


@cache
def _client(function: str) -> Any:
    made: Any = create_app
    return made(function, str(FUNCTIONS / function / "main.py")).test_client()


def deliver(cloud: MemoryCloud, function: str, topic: str, message: Message) -> int:
    """Pushes one message to one function as Pub/Sub would; answers the status."""
    pushed = {
        "message": {
            "data": base64.b64encode(message.data).decode(),
            "attributes": dict(message.attributes),
            "messageId": "1",
            "publishTime": "2026-01-01T00:00:00Z",
        },
        "subscription": f"projects/p/subscriptions/{function}.{topic}",
    }
    # A delivery inside another, as tests make them, is by its own function; the other then goes on as itself.
    before, cloud.caller = cloud.caller, function
    try:
        with using(cloud):
            return int(_client(function).post(f"/projects/p/topics/{topic}", json=pushed).status_code)
    finally:
        cloud.caller = before


def send(cloud: MemoryCloud, function: str, envelope: Envelope) -> int:
    """Pushes one event to one function."""
    return deliver(cloud, function, envelope.topic, Message(envelope.attributes(), envelope.data()))


def subscribers(topic: str, message: Message) -> list[Subscription]:
    """Who hears a message, by the wiring; its filters are the two that Serin has."""
    name = message.attributes.get("objectId", "")
    heard = [each for each in SUBSCRIPTIONS if each.topic == topic]
    return [each for each in heard if not each.filter or f'"{name.split("/")[0]}/"' in each.filter]


def settle(cloud: MemoryCloud, functions: Callable[[str], bool] = lambda _: True) -> list[tuple[str, str, int]]:
    """Delivers until nothing is left; answers (function, topic, status) in order, and keeps what was refused."""
    log: list[tuple[str, str, int]] = []
    refused: list[tuple[str, Message, str]] = []
    for _ in range(_MAX_ROUNDS):
        taken = cloud.bus.take()
        if not taken:
            cloud.refused = refused
            return log
        for topic, message in taken:
            for subscription in subscribers(topic, message):
                if not functions(subscription.function):
                    continue
                status = deliver(cloud, subscription.function, topic, message)
                log.append((subscription.function, topic, status))
                if status != 200:
                    refused.append((topic, message, subscription.function))
    raise AssertionError(f"events go round in a circle: {log[-6:]}")


def drop(cloud: MemoryCloud, name: str, body: bytes) -> int:
    """Puts an object in the data bucket and announces it; answers its generation."""
    entry = cloud.data.put(name, body)
    cloud.bus.publish(DATA_UPLOADED, b"{}", announcement(name, entry.generation))
    return entry.generation


def announcement(name: str, generation: int) -> Mapping[str, str]:
    """The attributes of a storage notification."""
    return {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": "data",
        "objectId": name,
        "objectGeneration": str(generation),
        "payloadFormat": "JSON_API_V1",
    }


def tick(cloud: MemoryCloud) -> int:
    """Lets reconcile look once."""
    return deliver(cloud, "reconcile", CLOCK_TICKED, Message({}, b"{}"))


def data_of(cloud: MemoryCloud, key: str) -> Any:
    """The facts of one record."""
    body = cloud.state.read(key)
    assert body is not None, f"{key} does not stand; there are {cloud.state.keys()}"
    return json.loads(body)["data"]
