"""Pushes messages to endpoints as the service does: a wrapped POST, answered in time with a success or delivered again.

Each push subscription has a window of requests in flight. An endpoint that cannot be reached shrinks it to one and
makes it pause, longer each time, so that a function that is starting again is not hammered; the first answer opens it
again.

Not offered: unwrapped pushes, and strict ordering (messages are sent in the order of publishing, but a later one does
not wait for an earlier one that is tried again).
"""

import asyncio
import base64
import json
from typing import Any

from local.pubsub.broker import Broker
from local.pubsub.faults import NO_FAULTS, Faults
from local.pubsub.http_client import Headers, HttpClient, Place, place_of
from local.pubsub.oidc import Signer
from local.pubsub.subscription import Delivery, Subscription

MAX_IN_FLIGHT = 16  # per subscription
_ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
_HEADERS = (
    ("Accept", "application/json"),
    ("User-Agent", "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"),
    ("Content-Type", "application/json"),
)
_PAUSE_SECONDS = (0.05, 2.0)  # after the first failure to reach an endpoint, and at most


class Pusher:
    """Delivers everything that push subscriptions have ready, until closed."""

    def __init__(self, broker: Broker, signer: Signer, faults: Faults = NO_FAULTS) -> None:
        self._client = HttpClient()
        self._signer = signer
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()
        broker.attend(self._attend)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._client.close()

    def _attend(self, subscription: Subscription) -> None:
        feed = _Feed(subscription, self._client, self._signer, self._tasks, self._faults)
        subscription.watch(feed.pump)
        feed.pump()


class _Feed:
    """The pushes of one subscription; idle as long as it has no endpoint."""

    def __init__(
        self, subscription: Subscription, client: HttpClient, signer: Signer, tasks: set[asyncio.Task[None]],
        faults: Faults,
    ) -> None:  # fmt: skip
        self._faults = faults
        self._subscription = subscription
        self._client = client
        self._signer = signer
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._url = ""
        self._place: Place | None = None
        self._in_flight = 0
        self._failures = 0
        self._paused = False

    def pump(self) -> None:
        """Sends what is ready, as far as the window is open."""
        place = self._current_place()
        window = 1 if self._failures else MAX_IN_FLIGHT
        if place is None or self._paused or self._in_flight >= window:
            return
        for delivery in self._subscription.lease(window - self._in_flight):
            self._in_flight += 1
            task = self._loop.create_task(self._carry(place, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, place: Place, delivery: Delivery) -> None:
        config = self._subscription.config
        await self._faults.hold_back()
        body = json.dumps(wrapped(config, delivery)).encode()
        try:
            async with asyncio.timeout(config.ack_deadline_seconds):
                status = await self._client.post(place, self._headers(config.push_config), body)
        except TimeoutError:
            status = 0
        except (OSError, ValueError):  # a ValueError is a host name that no resolver takes
            status = 0
            self._pause()
        else:
            self._failures = 0
        self._in_flight -= 1
        taken = status in _ACKNOWLEDGING
        self._settle(delivery, acknowledged=taken and not self._faults.again())
        self.pump()

    def _headers(self, push: Any) -> Headers:
        if not push.oidc_token.service_account_email:
            return _HEADERS
        token = self._signer.token(
            push.oidc_token.service_account_email, push.oidc_token.audience or push.push_endpoint
        )
        return (*_HEADERS, ("Authorization", f"Bearer {token}"))

    def _settle(self, delivery: Delivery, *, acknowledged: bool) -> None:
        if acknowledged:
            self._subscription.acknowledge([delivery.ack_id])
        else:
            self._subscription.modify([delivery.ack_id], 0)

    def _pause(self) -> None:
        if self._paused:
            return
        first, most = _PAUSE_SECONDS
        self._failures += 1
        self._paused = True
        self._loop.call_later(min(most, first * 2.0 ** min(self._failures - 1, 16)), self._resume)

    def _resume(self) -> None:
        self._paused = False
        self.pump()

    def _current_place(self) -> Place | None:
        url = self._subscription.config.push_config.push_endpoint
        if url != self._url:
            self._url, self._failures = url, 0
            self._place = place_of(url) if url else None
        return self._place


def wrapped(config: Any, delivery: Delivery) -> dict[str, Any]:
    """The body of a push request; `data` is there even when empty, for functions-framework refuses it without."""
    message = delivery.message
    published = message.publish_time.ToJsonString()
    body: dict[str, Any] = {
        "data": base64.b64encode(message.data).decode(),
        "attributes": dict(message.attributes),
        "messageId": message.message_id,
        "message_id": message.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if message.ordering_key:
        body["orderingKey"] = message.ordering_key
    push: dict[str, Any] = {"message": body, "subscription": config.name}
    if config.dead_letter_policy.dead_letter_topic:
        push["deliveryAttempt"] = delivery.attempt
    return push
