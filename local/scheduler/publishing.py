"""Publishes what a job says, through Google's own client."""

from typing import Any, Protocol

_TIMEOUT_SECONDS = 5.0


class Publisher(Protocol):
    """Whoever takes a message to a topic. Blocks; answers why it was not taken, "" when it was."""

    def publish(self, topic: str, data: bytes, attributes: dict[str, str]) -> str: ...

    def close(self) -> None: ...


class PubsubPublisher:
    """Publishes to the Pub/Sub at HOST:PORT; the client is imported with the first message, for it takes a second."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None

    def publish(self, topic: str, data: bytes, attributes: dict[str, str]) -> str:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.pubsub_v1 import PubsubMessage

        message = PubsubMessage(data=data, attributes=attributes)
        try:
            self._connected().publish(topic=topic, messages=[message], timeout=_TIMEOUT_SECONDS, retry=None)
        except (GoogleAPICallError, RetryError) as error:
            return f"{type(error).__name__}: {topic}"
        return ""

    def close(self) -> None:
        if self._client is not None:
            self._client.transport.close()

    def _connected(self) -> Any:
        if self._client is None:
            import grpc
            from google.pubsub_v1.services.publisher import PublisherClient
            from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

            channel = grpc.insecure_channel(self._address)
            self._client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        return self._client
