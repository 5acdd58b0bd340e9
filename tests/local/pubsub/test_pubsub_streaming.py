"""Streaming pull, with the official subscriber and below it."""

import queue
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument, NotFound, ServiceUnavailable
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.subscriber._protocol.streaming_pull_manager import _RETRYABLE_STREAM_ERRORS
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import StreamingPullRequest

from local.pubsub.server import running
from tests.local.pubsub.clients import DEADLINE_SECONDS, SUBSCRIPTION, TOPIC, Clients


class Stream:
    """A stream by hand, to see exactly what the server sends."""

    def __init__(self, clients: Clients, **first: Any) -> None:
        self._requests: queue.Queue[StreamingPullRequest | None] = queue.Queue()
        self.send(subscription=SUBSCRIPTION, **{"stream_ack_deadline_seconds": 60, **first})
        self._answers = iter(clients.subscriber.streaming_pull(iter(self._requests.get, None)))
        self._left: list[Any] = []

    def send(self, **fields: Any) -> None:
        self._requests.put(StreamingPullRequest(**fields))

    def next(self) -> Any:
        while not self._left:
            self._left = list(next(self._answers).received_messages)
        return self._left.pop(0)

    def end(self) -> None:
        self._requests.put(None)


@pytest.fixture
def subscriber(clients: Clients) -> Iterator[pubsub_v1.SubscriberClient]:
    clients.subscribe()
    with pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=clients.channel)) as subscriber:
        yield subscriber


def test_the_official_subscriber_receives_and_acknowledges(clients: Clients, subscriber: Any) -> None:
    heard: queue.Queue[bytes] = queue.Queue()
    acknowledged: queue.Queue[Any] = queue.Queue()

    def hear(message: Any) -> None:
        acknowledged.put(message.ack_with_response())
        heard.put(message.data)

    pull = subscriber.subscribe(SUBSCRIPTION, hear)
    clients.publish_many(100)
    assert {heard.get(timeout=DEADLINE_SECONDS) for _ in range(100)} == {str(number).encode() for number in range(100)}
    for _ in range(100):
        acknowledged.get().result(timeout=DEADLINE_SECONDS)
    pull.cancel()
    pull.result(timeout=DEADLINE_SECONDS)
    assert clients.ready() == []


def test_the_official_subscriber_gets_again_what_it_gave_back(clients: Clients, subscriber: Any) -> None:
    heard: queue.Queue[str] = queue.Queue()

    def hear(message: Any) -> None:
        (message.ack if heard.qsize() else message.nack)()
        heard.put(message.message_id)

    pull = subscriber.subscribe(SUBSCRIPTION, hear)
    number = clients.publish()
    assert [heard.get(timeout=DEADLINE_SECONDS) for _ in range(1)] == [number]
    assert heard.get(timeout=DEADLINE_SECONDS) == number
    pull.cancel()
    pull.result(timeout=DEADLINE_SECONDS)


def test_a_stopping_server_ends_streams_so_that_the_official_subscriber_comes_back(tmp_path: Path) -> None:
    with ExitStack() as stopping:
        server = stopping.enter_context(running(tmp_path))
        clients = Clients(server.host)
        clients.publisher.create_topic(name=TOPIC)
        clients.subscribe()
        stream = Stream(clients)
        clients.publish()
        stream.next()
    with pytest.raises(ServiceUnavailable) as ended:
        stream.next()
    assert isinstance(ended.value, _RETRYABLE_STREAM_ERRORS)
    clients.close()


def test_no_more_messages_are_out_than_the_client_allows(clients: Clients) -> None:
    clients.subscribe()
    numbers = clients.publish_many(5)
    stream = Stream(clients, max_outstanding_messages=2)
    out = [stream.next(), stream.next()]
    assert [each.message.message_id for each in clients.ready(most=1)] == numbers[2:3], "the third is left to others"
    clients.acknowledge(out[0].ack_id)
    assert stream.next().message.message_id == numbers[3], "a call of its own makes room"
    stream.send(ack_ids=[out[1].ack_id])
    assert stream.next().message.message_id == numbers[4], "and so does the stream"
    stream.end()


def test_no_more_bytes_are_out_than_the_client_allows(clients: Clients) -> None:
    clients.subscribe()
    numbers = [clients.publish(b"x" * 600) for _ in range(3)]
    stream = Stream(clients, max_outstanding_bytes=1000)
    out = [stream.next(), stream.next()]
    assert [each.message.message_id for each in clients.ready(most=1)] == numbers[2:]
    assert [each.message.message_id for each in out] == numbers[:2], "the last may exceed, lest a big one never comes"
    stream.end()


def test_a_lease_given_back_on_the_stream_makes_room_and_comes_again(clients: Clients) -> None:
    clients.subscribe()
    clients.publish()
    stream = Stream(clients, max_outstanding_messages=1)
    first = stream.next()
    stream.send(modify_deadline_ack_ids=[first.ack_id], modify_deadline_seconds=[0])
    assert stream.next().message == first.message
    stream.end()


def test_a_stream_ends_when_its_subscription_is_deleted(clients: Clients) -> None:
    clients.subscribe()
    stream = Stream(clients)
    clients.publish()
    stream.next()
    clients.subscriber.delete_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(NotFound):
        stream.next()


def test_a_wrong_stream_is_refused(clients: Clients) -> None:
    with pytest.raises(NotFound):
        Stream(clients).next()
    clients.subscribe()
    with pytest.raises(InvalidArgument, match="stream_ack_deadline_seconds"):
        Stream(clients, stream_ack_deadline_seconds=9).next()
    with pytest.raises(InvalidArgument, match="same length"):
        Stream(clients, modify_deadline_seconds=[1]).next()
    stream = Stream(clients)
    stream.send(ack_ids=["nonsense"])
    with pytest.raises(InvalidArgument, match="invalid ack ID"):
        stream.next()


def test_a_stream_leaves_nothing_behind(clients: Clients) -> None:
    clients.subscribe()
    for _ in range(3):
        stream = Stream(clients)
        clients.publish()
        clients.acknowledge(stream.next().ack_id)
        stream.end()
        with pytest.raises((StopIteration, GoogleAPICallError)):
            stream.next()
    number = clients.publish()
    assert [each.message.message_id for each in clients.ready()] == [number], "no ended stream takes what comes later"
