"""Carries the outbox to Pub/Sub through its official API, and keeps trying until each topic has taken its messages.

One task per topic with something to say: one that does not exist (yet) holds up no other. Uploads never wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from local.storage.database import Clock
from local.storage.outbox import Outbox, Outgoing

# Pub/Sub takes 1,000 messages and 10 MB per request; an object resource is at most some 30 KB.
_BATCH_LIMIT = 100
_TIMEOUT_SECONDS = 10.0
# Google gives up on a topic after about a week.
_KEPT_US = 7 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Pauses:
    """Between attempts: each twice the one before, until the longest; from there on somebody should know."""

    first_seconds: float = 0.1
    longest_seconds: float = 2.0


class Publisher(Protocol):
    """Whoever takes messages to a topic; returns only when all of them are accepted, raises otherwise. Blocks."""

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> None: ...

    def close(self) -> None: ...


_PAUSES = Pauses()
_log = logging.getLogger(__name__)


class GrpcPublisher:
    """google.cloud.pubsub's generated client on an insecure channel; imported at first use, for it takes long."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel: Any = None
        self._client: Any = None

    def publish(self, topic: str, messages: Sequence[Outgoing]) -> None:
        from google.pubsub_v1.types import PubsubMessage

        batch = [PubsubMessage(data=message.data, attributes=message.attributes) for message in messages]
        self._connected().publish(topic=topic, messages=batch, retry=None, timeout=_TIMEOUT_SECONDS)

    def _connected(self) -> Any:
        if self._client is None:
            import grpc
            from google.pubsub_v1 import PublisherClient
            from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

            # gRPC's own pauses between connection attempts grow to two minutes; a restarted Pub/Sub is back sooner.
            pauses = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
            self._channel = grpc.insecure_channel(self._address, options=pauses)
            self._client = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        return self._client

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()


class Delivery:
    """Publishes what is in the outbox; lives on the server's event loop."""

    def __init__(self, outbox: Outbox, publisher: Publisher, clock: Clock, pauses: Pauses = _PAUSES) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._clock = clock
        self._pauses = pauses
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def wake(self, topics: Iterable[str]) -> None:
        """Start delivering what waits for these topics."""
        for topic in topics:
            if topic not in self._tasks:
                self._tasks[topic] = asyncio.get_running_loop().create_task(self._deliver(topic))

    async def _deliver(self, topic: str) -> None:
        try:
            await self._drain(topic)
        finally:
            # No await since the outbox was seen empty: whoever adds to it now starts a new task.
            del self._tasks[topic]

    async def _drain(self, topic: str) -> None:
        pause_seconds = self._pauses.first_seconds
        while messages := self._outbox.oldest(topic, _BATCH_LIMIT):
            failure = await self._publish(topic, messages)
            if failure is None:
                self._outbox.confirm(topic, messages[-1].id)
                pause_seconds = self._pauses.first_seconds
                continue
            self._outbox.expire(self._clock() - _KEPT_US)
            await asyncio.sleep(pause_seconds)
            pause_seconds = self._longer(topic, pause_seconds, failure)

    def _longer(self, topic: str, pause_seconds: float, failure: Exception) -> float:
        if pause_seconds < self._pauses.longest_seconds <= 2 * pause_seconds:
            _log.warning("notifications wait for %s, which does not take them: %s", topic, failure)
        return min(2 * pause_seconds, self._pauses.longest_seconds)

    async def _publish(self, topic: str, messages: Sequence[Outgoing]) -> Exception | None:
        """Why it failed, whatever it was: the messages are still in the outbox, and the next attempt repeats them."""
        try:
            await asyncio.to_thread(self._publisher.publish, topic, messages)
        except Exception as failure:
            return failure
        return None

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        self._publisher.close()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
