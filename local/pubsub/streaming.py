"""StreamingPull: messages out as the client's flow control allows, acknowledgements in on the same or another call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.pubsub_v1 import types

from local.errors import CloudError, Status
from local.pubsub.broker import Broker
from local.pubsub.limits import MAX_ACK_SECONDS, MAX_PULL_BYTES, check_range, invalid
from local.pubsub.subscription import Delivery

_Response = types.StreamingPullResponse.pb()
_Received = types.ReceivedMessage.pb()
_LEAST_ACK_SECONDS = 10
_MOST_IN_A_RESPONSE = 1000


def received(delivery: Delivery, tells_attempts: bool) -> Any:
    """A delivery as pull and streaming pull send it."""
    attempt = delivery.attempt if tells_attempts else 0
    return _Received(ack_id=delivery.ack_id, message=delivery.message, delivery_attempt=attempt)


class Stream:
    """One open stream of one subscription.

    What it has out is counted by the leases themselves, not by the acknowledgements that come along the stream: the
    client may acknowledge by a call of its own, and a lease may end unanswered.
    """

    def __init__(self, broker: Broker, first: Any) -> None:
        check_range(
            "stream_ack_deadline_seconds", first.stream_ack_deadline_seconds, _LEAST_ACK_SECONDS, MAX_ACK_SECONDS
        )
        self._subscription = broker.subscription(first.subscription)
        refuse_push(self._subscription.config)
        self._seconds = first.stream_ack_deadline_seconds
        # Google's word for "no limit" is zero or less.
        self._most = max(first.max_outstanding_messages, 0) or None
        self._most_bytes = max(first.max_outstanding_bytes, 0) or None
        self._out = 0
        self._out_bytes = 0
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._ended = False

    async def responses(self, first: Any, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """What to send, until the client leaves; raises CloudError when the stream must end."""
        unwatch = self._subscription.watch(self._changed.set)
        self._reader = asyncio.create_task(self._read(requests))
        try:
            self._take(first)
            async for response in self._sent():
                yield response
        finally:
            unwatch()
            self._reader.cancel()

    def end(self) -> None:
        """Ends the stream so that the client comes back, as Google does when a server is replaced."""
        self._ended = True
        self._changed.set()

    async def _sent(self) -> AsyncIterator[Any]:
        while True:
            self._changed.clear()
            self._check()
            deliveries = self._lease()
            if deliveries:
                tells = self._subscription.tells_attempts
                yield _Response(received_messages=[received(each, tells) for each in deliveries])
            elif self._reader is not None and self._reader.done():
                self._reader.result()
                return
            else:
                await self._changed.wait()

    def _check(self) -> None:
        if self._ended:
            raise CloudError(Status.UNAVAILABLE, "The service is going down.")
        if self._subscription.deleted:
            raise CloudError(Status.NOT_FOUND, "Resource not found: the subscription was deleted.")
        refuse_push(self._subscription.config)

    def _lease(self) -> list[Delivery]:
        room = _MOST_IN_A_RESPONSE if self._most is None else min(self._most - self._out, _MOST_IN_A_RESPONSE)
        room_bytes = MAX_PULL_BYTES if self._most_bytes is None else self._most_bytes - self._out_bytes
        if room <= 0 or room_bytes <= 0:
            return []
        before = self._out_bytes
        deliveries = self._subscription.lease(
            room, most_bytes=min(room_bytes, MAX_PULL_BYTES), seconds=self._seconds, released=self._released
        )
        self._out += len(deliveries)
        self._out_bytes = before + sum(each.message.ByteSize() for each in deliveries)
        return deliveries

    def _released(self, size: int) -> None:
        self._out -= 1
        self._out_bytes -= size
        self._changed.set()

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        try:
            async for request in requests:
                if request.subscription:
                    raise invalid("The subscription may be named in the first request of a stream only.")
                self._take(request)
        finally:
            self._changed.set()

    def _take(self, request: Any) -> None:
        if len(request.modify_deadline_ack_ids) != len(request.modify_deadline_seconds):
            raise invalid("modify_deadline_ack_ids and modify_deadline_seconds must have the same length.")
        self._subscription.acknowledge(request.ack_ids)
        for ack_id, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True):
            self._subscription.modify([ack_id], seconds)
        if request.stream_ack_deadline_seconds:
            self._seconds = request.stream_ack_deadline_seconds


def refuse_push(config: Any) -> None:
    """Raises FAILED_PRECONDITION for a subscription whose messages are pushed."""
    if config.push_config.push_endpoint:
        raise CloudError(Status.FAILED_PRECONDITION, "This method is not supported for this subscription type.")
