"""Pushes messages to endpoints as the service does: a wrapped POST, answered in time with a success or delivered again.

One dispatcher waits for what is due, without polling; a pool of workers carries the requests. A worker whose request
outlives the ack deadline finds its lease given to a newer attempt, and its late answer changes nothing.
"""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from local.errors import CloudError
from local.pubsub.state import Delivery, State

_ACKNOWLEDGING = frozenset({102, 200, 201, 202, 204})
_WORKERS = 48
MAX_IN_FLIGHT = 16  # per subscription, so that one slow function does not hold every worker


class Pusher:
    """Delivers everything that push subscriptions have due, until stopped."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._http = urllib3.PoolManager(num_pools=64, maxsize=MAX_IN_FLIGHT, retries=False)
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="push")
        self._in_flight: dict[str, int] = {}
        self._stopped = False
        self._thread = threading.Thread(target=self._dispatch, name="push-dispatch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._state.changed:
            self._stopped = True
            self._state.changed.notify_all()
        self._thread.join()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _dispatch(self) -> None:
        with self._state.changed:
            while not self._stopped:
                wait_seconds = min((self._hand_out(each) for each in self._pushed()), default=60.0)
                if wait_seconds > 0:
                    self._state.changed.wait(wait_seconds)

    def _pushed(self) -> list[Any]:
        return [each for each in self._state.subscriptions() if each.push_config.push_endpoint]

    def _hand_out(self, subscription: Any) -> float:
        """Hands what is due to the workers; answers the seconds until something may be due next."""
        name = subscription.name
        free = MAX_IN_FLIGHT - self._in_flight.get(name, 0)
        if free <= 0:
            return 60.0  # a worker that ends wakes the dispatcher
        for delivery in self._state.lease(name, free):
            self._in_flight[name] = self._in_flight.get(name, 0) + 1
            self._workers.submit(self._carry, subscription, delivery)
        return self._state.next_due_seconds(name)

    def _carry(self, subscription: Any, delivery: Delivery) -> None:
        acknowledged = self._post(subscription, delivery)
        with self._state.changed:
            self._in_flight[subscription.name] -= 1
            try:
                if acknowledged:
                    self._state.acknowledge([delivery.ack_id])
                else:
                    self._state.extend([delivery.ack_id], 0)
            except CloudError:
                pass  # the subscription was deleted meanwhile, and its messages with it
            self._state.changed.notify_all()

    def _post(self, subscription: Any, delivery: Delivery) -> bool:
        try:
            answer = self._http.request(
                "POST",
                subscription.push_config.push_endpoint,
                body=json.dumps(wrapped(subscription, delivery)).encode(),
                headers={"Content-Type": "application/json", "User-Agent": "APIs-Google"},
                timeout=urllib3.Timeout(total=subscription.ack_deadline_seconds),
            )
        except urllib3.exceptions.HTTPError:
            return False
        return answer.status in _ACKNOWLEDGING


def wrapped(subscription: Any, delivery: Delivery) -> dict[str, Any]:
    """The body of a push request; the delivery attempt is told only where there is a dead-letter policy."""
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
    push: dict[str, Any] = {"message": body, "subscription": subscription.name}
    if subscription.dead_letter_policy.dead_letter_topic:
        push["deliveryAttempt"] = delivery.attempt
    return push
