"""The thin door to Pub/Sub: a message is published and known to be kept before anything goes on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from shared.door import Door

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient

_PUBLISH_TIMEOUT_SECONDS = 30.0  # well under the 600 s in which a delivery must be answered


class Bus(Protocol):
    """Where events go."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        """Publishes one message on a topic of this project; returns its message id once the service keeps it."""


class CloudBus:
    """Pub/Sub, through Google's client."""

    def __init__(self, client: "PublisherClient", project: str, door: Door) -> None:
        self._client = client
        self._project = project
        self._door = door

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> str:
        path = f"projects/{self._project}/topics/{topic}"

        def published() -> str:
            return str(self._client.publish(path, data, **attributes).result(timeout=_PUBLISH_TIMEOUT_SECONDS))

        return self._door("pubsub.publish", published)
