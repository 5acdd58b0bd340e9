"""Makes the topics, subscriptions, buckets and the notification that the wiring names; made twice, nothing changes."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
from google.api_core.exceptions import AlreadyExists, Conflict
from google.cloud import storage
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from shared.foreign import DATA_UPLOADED, DEAD_LETTERS
from shared.wiring import ACK_DEADLINE_SECONDS, MAX_DELIVERY_ATTEMPTS, SUBSCRIPTIONS, TOPICS, Subscription


@dataclass(frozen=True)
class Retry:
    """How long a refused message waits, in seconds."""

    least_seconds: float
    most_seconds: float


def wire_pubsub(host: str, project: str, functions_url: str, retry: Retry) -> None:
    """Topics and every function's push subscription."""
    with grpc.insecure_channel(host) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        for topic in TOPICS:
            with suppress(AlreadyExists):
                publisher.create_topic(name=f"projects/{project}/topics/{topic}")
        for subscription in SUBSCRIPTIONS:
            _subscribe(subscriber, subscription, project, functions_url, retry)


def _subscribe(client: SubscriberClient, wanted: Subscription, project: str, url: str, retry: Retry) -> None:
    topic = f"projects/{project}/topics/{wanted.topic}"
    request: dict[str, Any] = {
        "name": f"projects/{project}/subscriptions/{wanted.name}",
        "topic": topic,
        "filter": wanted.filter,
        "ack_deadline_seconds": ACK_DEADLINE_SECONDS,
        "push_config": {"push_endpoint": f"{url}/{wanted.function}/{topic}"},
        "retry_policy": {
            "minimum_backoff": _duration(retry.least_seconds),
            "maximum_backoff": _duration(retry.most_seconds),
        },
        "expiration_policy": {},
    }
    if wanted.topic != DEAD_LETTERS:
        request["dead_letter_policy"] = {
            "dead_letter_topic": f"projects/{project}/topics/{DEAD_LETTERS}",
            "max_delivery_attempts": MAX_DELIVERY_ATTEMPTS,
        }
    try:
        client.create_subscription(request=request)
    except AlreadyExists:
        client.modify_push_config(subscription=request["name"], push_config=request["push_config"])


def wire_storage(url: str, project: str, data: str, others: tuple[str, ...], notifies: bool = True) -> None:
    """The buckets, and the data bucket's one notification where the store sends any."""
    with _client(url, project) as client:
        for name in (data, *others):
            bucket = client.bucket(name)
            bucket.versioning_enabled = name == data
            with suppress(Conflict):
                client.create_bucket(bucket)
        bucket = client.bucket(data)
        if notifies and not list(bucket.list_notifications()):
            bucket.notification(
                topic_name=DATA_UPLOADED,
                topic_project=project,
                event_types=["OBJECT_FINALIZE"],
                payload_format="JSON_API_V1",
            ).create()


@contextmanager
def _client(url: str, project: str) -> Iterator[storage.Client]:
    from google.auth.credentials import AnonymousCredentials

    client = storage.Client(
        project=project,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": url},
    )
    try:
        yield client
    finally:
        client.close()


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
