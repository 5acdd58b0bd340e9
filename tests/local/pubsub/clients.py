"""Google's own clients on a local Pub/Sub, and an endpoint to push to."""

import json
import queue
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.api_core.grpc_helpers import wrap_errors
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage, PullRequest, PullResponse, PushConfig

TOPIC = "projects/p/topics/events"
LETTERS = "projects/p/topics/letters"
SUBSCRIPTION = "projects/p/subscriptions/hearer"
DEADLINE_SECONDS = 20.0


def lasting(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


class Clients:
    """The generated clients, on one channel."""

    def __init__(self, host: str) -> None:
        # As the official clients open theirs.
        self.channel = grpc.insecure_channel(host, options=[("grpc.max_receive_message_length", -1)])
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self.channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self.channel))
        self._pull_at_once = wrap_errors(  # type: ignore[no-untyped-call]
            self.channel.unary_unary(
                "/google.pubsub.v1.Subscriber/Pull", PullRequest.serialize, PullResponse.deserialize
            )
        )

    def close(self) -> None:
        self.channel.close()

    def subscribe(self, **settings: Any) -> Any:
        return self.subscriber.create_subscription(request={"name": SUBSCRIPTION, "topic": TOPIC, **settings})

    def publish(self, data: bytes = b"x", topic: str = TOPIC, **attributes: str) -> str:
        messages = [PubsubMessage(data=data, attributes=attributes)]
        return str(self.publisher.publish(topic=topic, messages=messages).message_ids[0])

    def publish_many(self, count: int) -> list[str]:
        messages = [PubsubMessage(data=str(number).encode()) for number in range(count)]
        return list(self.publisher.publish(topic=TOPIC, messages=messages).message_ids)

    def push_to(self, url: str) -> None:
        """Changes where the subscription is pushed; "" makes it one that is pulled."""
        self.subscriber.modify_push_config(subscription=SUBSCRIPTION, push_config=PushConfig(push_endpoint=url))

    def ready(self, subscription: str = SUBSCRIPTION, most: int = 100) -> list[Any]:
        """What can be pulled at once; the client itself warns of `return_immediately`, so the call is made below it."""
        request = PullRequest(subscription=subscription, max_messages=most, return_immediately=True)
        return list(self._pull_at_once(request, timeout=10).received_messages)

    def pull(self, subscription: str = SUBSCRIPTION) -> Any:
        """The next message, once there is one."""
        end = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < end:
            request = {"subscription": subscription, "max_messages": 1}
            if found := list(self.subscriber.pull(request=request, timeout=10).received_messages):
                return found[0]
        raise AssertionError(f"nothing came on {subscription}")

    def give_back(self, *ack_ids: str) -> None:
        self.modify(0, *ack_ids)

    def modify(self, seconds: int, *ack_ids: str) -> None:
        self.subscriber.modify_ack_deadline(
            request={"subscription": SUBSCRIPTION, "ack_ids": list(ack_ids), "ack_deadline_seconds": seconds}
        )

    def acknowledge(self, *ack_ids: str) -> None:
        self.subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=list(ack_ids))


class _Listener(ThreadingHTTPServer):
    request_queue_size = 64  # a whole window connects at once


class Endpoint:
    """A push endpoint; `answer` decides the status of each body, and None hangs up without one."""

    def __init__(self, answer: Callable[[dict[str, Any]], int | None] = lambda _body: 204) -> None:
        self.bodies: queue.Queue[dict[str, Any]] = queue.Queue()
        self.headers: queue.Queue[dict[str, str]] = queue.Queue()
        self.times: list[float] = []
        self.connections = 0
        self._answer = answer
        self._server = _Listener(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hear?topic=events"
        self.push_config = {"push_endpoint": self.url}
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def next(self) -> dict[str, Any]:
        return self.bodies.get(timeout=DEADLINE_SECONDS)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer_as_http_1_0(self) -> None:
        """From now on an answer has no length: it ends with its connection."""
        self._server.RequestHandlerClass.protocol_version = "HTTP/1.0"  # type: ignore[attr-defined]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                endpoint.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.times.append(time.monotonic())
                endpoint.headers.put({**self.headers, "path": self.path})
                endpoint.bodies.put(body)
                status = endpoint._answer(body)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                if status >= 200 and status != 204 and self.protocol_version == "HTTP/1.1":
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        return Handler


def one_after_the_other(*statuses: int | None) -> Callable[[dict[str, Any]], int | None]:
    """These answers, then 204."""
    left = iter(statuses)
    return lambda _body: next(left, 204)
