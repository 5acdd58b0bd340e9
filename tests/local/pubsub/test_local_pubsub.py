"""Google's own client against the local Pub/Sub."""

import base64
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    GoogleAPICallError,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
)
from google.cloud import pubsub_v1
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from local.errors import CloudError
from local.pubsub.filters import parse
from local.pubsub.server import running

TOPIC = "projects/p/topics/events"
SUBSCRIPTION = "projects/p/subscriptions/hearer"


class Clients:
    def __init__(self, host: str) -> None:
        channel = grpc.insecure_channel(host)
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    def publish(self, data: bytes = b"x", topic: str = TOPIC, **attributes: str) -> str:
        return str(
            self.publisher.publish(topic=topic, messages=[{"data": data, "attributes": attributes}]).message_ids[0]
        )

    def pull(self, subscription: str = SUBSCRIPTION) -> list[Any]:
        request = {"subscription": subscription, "max_messages": 10}
        return list(self.subscriber.pull(request=request, timeout=10).received_messages)


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    with running(tmp_path) as server:
        made = Clients(server.host)
        made.publisher.create_topic(name=TOPIC)
        yield made


class Endpoint:
    """A push endpoint that answers the statuses it is given, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.bodies: queue.Queue[dict[str, Any]] = queue.Queue()
        answers = iter(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                handler.send_response(next(answers, 204))
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                self.bodies.put(json.loads(body))

            def log_message(handler, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/projects/p/topics/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_published_message_is_pulled_and_gone_once_acknowledged(clients: Clients) -> None:
    clients.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    number = clients.publish(b"hello", colour="red")
    (received,) = clients.pull()
    assert (received.message.data, dict(received.message.attributes)) == (b"hello", {"colour": "red"})
    assert received.message.message_id == number
    clients.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[received.ack_id])
    later = clients.publish(b"later")
    assert [each.message.message_id for each in clients.pull()] == [later]


def test_a_message_given_back_comes_again(clients: Clients) -> None:
    clients.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    clients.publish()
    (first,) = clients.pull()
    clients.subscriber.modify_ack_deadline(
        request={"subscription": SUBSCRIPTION, "ack_ids": [first.ack_id], "ack_deadline_seconds": 0}
    )
    (second,) = clients.pull()
    assert second.message.message_id == first.message.message_id
    assert second.ack_id != first.ack_id


def test_only_what_a_filter_lets_through_is_delivered(clients: Clients) -> None:
    clients.subscriber.create_subscription(
        request={"name": SUBSCRIPTION, "topic": TOPIC, "filter": 'hasPrefix(attributes.name, "data/")'}
    )
    clients.publish(name="settings/a")
    wanted = clients.publish(name="data/a")
    assert [each.message.message_id for each in clients.pull()] == [wanted]


@pytest.mark.parametrize(
    ("text", "attributes", "passes"),
    [
        ('attributes.a = "x"', {"a": "x"}, True),
        ('attributes.a = "x"', {}, False),
        ('attributes.a != "x"', {"a": "y"}, True),
        ("attributes:a", {"a": ""}, True),
        ('NOT attributes:a AND attributes.b = "1"', {"b": "1"}, True),
        ('attributes."ce-type" = "t" AND (attributes:a OR attributes:b)', {"ce-type": "t", "b": ""}, True),
        ('attributes.a = "say \\"x\\""', {"a": 'say "x"'}, True),
        ('hasPrefix(attributes.a, "da")', {"a": "data"}, True),
        ('hasPrefix(attributes.a, "")', {}, False),
        ("", {}, True),
    ],
)
def test_the_filter_language(text: str, attributes: dict[str, str], passes: bool) -> None:
    assert parse(text)(attributes) is passes


@pytest.mark.parametrize(
    "text",
    [
        "attributes.a",
        "attributes.a = x",
        'data = "x"',
        "attributes:a AND",
        "(attributes:a",
        "attributes:a OR attributes:b AND attributes:c",
        'hasSuffix(attributes.a, "x")',
        'attributes.a = "' + "x" * 256 + '"',
    ],
)  # fmt: skip
def test_a_wrong_filter_is_refused(text: str) -> None:
    with pytest.raises(CloudError, match="filter"):
        parse(text)


def test_a_push_request_is_wrapped_as_google_wraps_it(clients: Clients) -> None:
    endpoint = Endpoint()
    push = {"name": SUBSCRIPTION, "topic": TOPIC, "push_config": {"push_endpoint": endpoint.url}}
    clients.publisher.create_topic(name="projects/p/topics/letters")
    policy = {"dead_letter_topic": "projects/p/topics/letters", "max_delivery_attempts": 5}
    clients.subscriber.create_subscription(request={**push, "dead_letter_policy": policy})
    number = clients.publish(b"hello", colour="red")
    body = endpoint.bodies.get(timeout=10)
    assert base64.b64decode(body["message"].pop("data")) == b"hello"
    assert body["message"].pop("publishTime") == body["message"].pop("publish_time")
    assert body == {
        "message": {"attributes": {"colour": "red"}, "messageId": number, "message_id": number},
        "subscription": SUBSCRIPTION,
        "deliveryAttempt": 1,
    }
    endpoint.close()


def test_a_refused_push_is_repeated_with_backoff_until_it_is_accepted(clients: Clients) -> None:
    endpoint = Endpoint(500, 404, 204)
    clients.subscriber.create_subscription(
        request={
            "name": SUBSCRIPTION,
            "topic": TOPIC,
            "push_config": {"push_endpoint": endpoint.url},
            "retry_policy": {"minimum_backoff": Duration(nanos=10_000_000), "maximum_backoff": Duration(seconds=1)},
        }
    )
    clients.publish()
    numbers = [endpoint.bodies.get(timeout=10)["message"]["messageId"] for _ in range(3)]
    assert len(set(numbers)) == 1
    clients.publish(b"another")
    assert endpoint.bodies.get(timeout=10)["message"]["messageId"] != numbers[0]
    endpoint.close()


def test_a_message_refused_too_often_becomes_a_dead_letter(clients: Clients) -> None:
    endpoint = Endpoint(*[500] * 5)
    letters = "projects/p/topics/letters"
    clients.publisher.create_topic(name=letters)
    clients.subscriber.create_subscription(name="projects/p/subscriptions/letters", topic=letters)
    clients.subscriber.create_subscription(
        request={
            "name": SUBSCRIPTION,
            "topic": TOPIC,
            "push_config": {"push_endpoint": endpoint.url},
            "retry_policy": {"minimum_backoff": Duration(nanos=1), "maximum_backoff": Duration(nanos=1)},
            "dead_letter_policy": {"dead_letter_topic": letters, "max_delivery_attempts": 5},
        }
    )
    clients.publish(b"poison", colour="red")
    (letter,) = clients.pull("projects/p/subscriptions/letters") or clients.pull("projects/p/subscriptions/letters")
    assert letter.message.data == b"poison"
    attributes = dict(letter.message.attributes)
    assert attributes["colour"] == "red"
    assert attributes["CloudPubSubDeadLetterSourceSubscription"] == "hearer"
    assert attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] == "p"
    assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    endpoint.close()


def test_streaming_pull_receives_what_is_published(tmp_path: Path) -> None:
    with running(tmp_path / "other") as server:
        other = Clients(server.host)
        other.publisher.create_topic(name=TOPIC)
        other.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        heard: queue.Queue[bytes] = queue.Queue()
        channel = grpc.insecure_channel(server.host)
        subscriber = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        with subscriber:
            pull = subscriber.subscribe(SUBSCRIPTION, lambda message: (heard.put(message.data), message.ack()))
            for each in range(20):
                other.publish(str(each).encode())
            assert sorted(heard.get(timeout=10) for _ in range(20)) == sorted(str(each).encode() for each in range(20))
            pull.cancel()
            pull.result(timeout=10)


@pytest.mark.parametrize(
    "name", ["projects/p/topics/ab", "projects/p/topics/googled", "projects/p/topics/1st", "topics/a"]
)
def test_ids_that_google_refuses_are_refused(clients: Clients, name: str) -> None:
    with pytest.raises(InvalidArgument):
        clients.publisher.create_topic(name=name)


def test_what_is_not_there_or_there_already_is_said_in_googles_words(clients: Clients) -> None:
    with pytest.raises(AlreadyExists):
        clients.publisher.create_topic(name=TOPIC)
    with pytest.raises(NotFound):
        clients.publisher.publish(topic="projects/p/topics/none", messages=[{"data": b"x"}])
    with pytest.raises(NotFound):
        clients.subscriber.create_subscription(name=SUBSCRIPTION, topic="projects/p/topics/none")
    with pytest.raises(InvalidArgument):
        clients.publisher.publish(topic=TOPIC, messages=[{}])


def test_a_method_that_serin_does_not_use_is_unimplemented(clients: Clients) -> None:
    with pytest.raises((MethodNotImplemented, GoogleAPICallError)) as refused:
        clients.subscriber.create_snapshot(name="projects/p/snapshots/one", subscription=SUBSCRIPTION, timeout=5)
    assert refused.value.grpc_status_code == grpc.StatusCode.UNIMPLEMENTED


def test_a_subscription_is_changed_by_its_mask_alone(clients: Clients) -> None:
    clients.subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, "ack_deadline_seconds": 60})
    clients.subscriber.update_subscription(
        request={
            "subscription": {"name": SUBSCRIPTION, "labels": {"a": "b"}, "ack_deadline_seconds": 20},
            "update_mask": {"paths": ["labels"]},
        }
    )
    kept = clients.subscriber.get_subscription(subscription=SUBSCRIPTION)
    assert (dict(kept.labels), kept.ack_deadline_seconds) == ({"a": "b"}, 60)


def test_undelivered_messages_survive_a_kill(tmp_path: Path) -> None:
    def started(port: int) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-m", "local.pubsub", "--port", str(port), "--data", str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, int(json.loads(process.stdout.readline())["port"])

    first, port = started(0)
    clients = Clients(f"127.0.0.1:{port}")
    clients.publisher.create_topic(name=TOPIC)
    clients.subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
    numbers = {clients.publish(str(each).encode()) for each in range(5)}
    assert len(clients.pull()) == 5, "all are out on a lease when the server dies"
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert first.stdout is not None
    first.stdout.close()
    second, port = started(port)
    found = {each.message.message_id for each in Clients(f"127.0.0.1:{port}").pull()}
    second.terminate()
    assert second.wait(timeout=10) == 0
    assert second.stdout is not None
    second.stdout.close()
    assert found == numbers
