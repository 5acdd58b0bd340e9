"""A local Cloud Scheduler whose minute is short, and somebody who takes its messages."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.scheduler import running

PARENT = "/v1/projects/p/locations/us-central1/jobs"
WAIT_SECONDS = 20.0
Message = tuple[str, bytes, dict[str, str]]


class Listener:
    """Takes every message, or refuses as often as it is told to."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        self.refusals = 0

    def publish(self, topic: str, data: bytes, attributes: dict[str, str]) -> str:
        if self.refusals > 0:
            self.refusals -= 1
            return "NotFound: the topic"
        self.messages.put((topic, data, attributes))
        return ""

    def close(self) -> None:
        pass

    def next(self) -> Message:
        return self.messages.get(timeout=WAIT_SECONDS)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def schedule(tmp_path: Path, listener: Listener) -> Iterator[httpx.Client]:
    """A scheduler whose minute is a twentieth of a second."""
    with (
        running(tmp_path, "nobody", minute_seconds=0.05, publisher=listener) as server,
        httpx.Client(base_url=server.url, verify=False) as http,
    ):
        yield http


@pytest.fixture
def job() -> Callable[..., dict[str, Any]]:
    """A job's resource that publishes `x` every minute, with changes."""

    def made(name: str = "tick", **changes: Any) -> dict[str, Any]:
        target = {"topicName": "projects/p/topics/t", "data": "eA=="}
        named = {"name": f"{PARENT.removeprefix('/v1/')}/{name}"}
        return {**named, "schedule": "* * * * *", "pubsubTarget": target, **changes}

    return made
