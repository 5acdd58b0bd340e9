"""Makes the topics, subscriptions, buckets and the notification that the wiring names; made twice, nothing changes.

Over REST and without Google's clients: to import those would take longer than to start the whole local cloud.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from shared.foreign import DATA_UPLOADED, DEAD_LETTERS
from shared.wiring import ACK_DEADLINE_SECONDS, MAX_DELIVERY_ATTEMPTS, SUBSCRIPTIONS, TOPICS, Subscription

_TIMEOUT_SECONDS = 20.0
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Retry:
    """How long a refused message waits, in seconds."""

    least_seconds: float
    most_seconds: float


@dataclass(frozen=True)
class Target:
    """Where functions are pushed to: the host's URL, and the service account of the tokens, if there are any."""

    url: str
    account: str = ""

    def config(self, function: str, topic: str) -> dict[str, Any]:
        """A subscription's push settings; the token of one function is not good for another."""
        endpoint = {"pushEndpoint": f"{self.url}/{function}/{topic}"}
        if not self.account:
            return endpoint
        token = {"serviceAccountEmail": self.account, "audience": f"{self.url}/{function}"}
        return {**endpoint, "oidcToken": token}


def wire_pubsub(host: str, project: str, target: Target, retry: Retry) -> None:
    """Topics and every function's push subscription; those that are there are pushed to the target from now on."""
    with _service(host) as pubsub:
        for topic in TOPICS:
            pubsub.make("PUT", f"/v1/projects/{project}/topics/{topic}", {})
        for subscription in SUBSCRIPTIONS:
            name = f"/v1/projects/{project}/subscriptions/{subscription.name}"
            settings = _settings(subscription, project, target, retry)
            if not pubsub.make("PUT", name, settings):
                pubsub.ask("POST", f"{name}:modifyPushConfig", {"pushConfig": settings["pushConfig"]})


def wire_storage(url: str, project: str, data: str, others: tuple[str, ...], notifies: bool = True) -> None:
    """The buckets, and the data bucket's one notification where the store sends any."""
    with _service(url.removeprefix("http://")) as storage:
        for name in (data, *others):
            versioning = {"versioning": {"enabled": name == data}}
            storage.make("POST", f"/storage/v1/b?project={project}", {"name": name, **versioning})
        configurations = f"/storage/v1/b/{data}/notificationConfigs"
        if notifies and not storage.ask("GET", configurations).get("items"):
            storage.ask("POST", configurations, _notification(project))


def _settings(wanted: Subscription, project: str, target: Target, retry: Retry) -> dict[str, Any]:
    topic = f"projects/{project}/topics/{wanted.topic}"
    settings: dict[str, Any] = {
        "topic": topic,
        "filter": wanted.filter,
        "ackDeadlineSeconds": ACK_DEADLINE_SECONDS,
        "pushConfig": target.config(wanted.function, topic),
        "retryPolicy": {
            "minimumBackoff": f"{retry.least_seconds:.3f}s",
            "maximumBackoff": f"{retry.most_seconds:.3f}s",
        },
        "expirationPolicy": {},
    }
    if wanted.topic != DEAD_LETTERS:
        settings["deadLetterPolicy"] = {
            "deadLetterTopic": f"projects/{project}/topics/{DEAD_LETTERS}",
            "maxDeliveryAttempts": MAX_DELIVERY_ATTEMPTS,
        }
    return settings


def _notification(project: str) -> Document:
    return {
        "topic": f"//pubsub.googleapis.com/projects/{project}/topics/{DATA_UPLOADED}",
        "event_types": ["OBJECT_FINALIZE"],
        "payload_format": "JSON_API_V1",
    }


class _Service:
    """One service on this machine, asked over one connection."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def make(self, method: str, path: str, wanted: Document) -> bool:
        """Whether it was made now; False when it was there already."""
        status, _ = self._asked(method, path, wanted)
        return status != HTTPStatus.CONFLICT

    def ask(self, method: str, path: str, wanted: Document | None = None) -> dict[str, Any]:
        return self._asked(method, path, wanted)[1]

    def _asked(self, method: str, path: str, wanted: Document | None) -> tuple[int, dict[str, Any]]:
        body = None if wanted is None else json.dumps(wanted)
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.CONFLICT:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {content[:500]!r}")
        return answer.status, json.loads(content or b"{}")


@contextmanager
def _service(host: str) -> Iterator[_Service]:
    connection = http.client.HTTPConnection(host, timeout=_TIMEOUT_SECONDS)
    try:
        yield _Service(connection)
    finally:
        connection.close()
