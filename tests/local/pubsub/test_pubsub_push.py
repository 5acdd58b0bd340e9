"""Push: what is sent, what counts as an acknowledgement, how often and how fast the rest is sent again."""

import base64
import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.pubsub_v1.types import PubsubMessage

from tests.local.pubsub.clients import (
    DEADLINE_SECONDS,
    LETTERS,
    SUBSCRIPTION,
    TOPIC,
    Clients,
    Endpoint,
    lasting,
    one_after_the_other,
)

Make = Callable[..., Endpoint]
NEVER_AGAIN = {"minimum_backoff": lasting(600), "maximum_backoff": lasting(600)}
AT_ONCE = {"minimum_backoff": lasting(0), "maximum_backoff": lasting(0)}


def test_a_push_request_is_wrapped_as_google_wraps_it(clients: Clients, endpoint: Make) -> None:
    hearer = endpoint()
    clients.subscribe(push_config=hearer.push_config, dead_letter_policy={"dead_letter_topic": LETTERS})
    message = PubsubMessage(data=b"hello", attributes={"colour": "réd"}, ordering_key="k")
    (number,) = clients.publisher.publish(topic=TOPIC, messages=[message]).message_ids
    body, headers = hearer.next(), hearer.headers.get()
    assert base64.b64decode(body["message"].pop("data")) == b"hello"
    published = body["message"].pop("publishTime")
    assert published.endswith("Z")
    assert body == {
        "message": {
            "attributes": {"colour": "réd"},
            "messageId": number,
            "message_id": number,
            "publish_time": published,
            "orderingKey": "k",
        },
        "subscription": SUBSCRIPTION,
        "deliveryAttempt": 1,
    }
    assert (headers["path"], headers["Content-Type"]) == ("/hear?topic=events", "application/json")
    assert headers["Host"] == hearer.url.split("/")[2]
    assert headers["User-Agent"].startswith("APIs-Google")


def test_a_message_of_attributes_alone_has_empty_data_and_no_policy_means_no_attempt(
    clients: Clients, endpoint: Make
) -> None:
    hearer = endpoint()
    clients.subscribe(push_config=hearer.push_config)
    clients.publish(b"", a="b")
    body = hearer.next()
    assert body["message"]["data"] == ""
    assert "orderingKey" not in body["message"]
    assert "deliveryAttempt" not in body


@pytest.mark.parametrize(
    ("status", "acknowledged"),
    [(102, True), (200, True), (201, True), (202, True), (204, True)]
    + [(status, False) for status in (203, 206, 301, 400, 404, 429, 500, 503)],
)
def test_some_answers_acknowledge_and_all_others_do_not(
    clients: Clients, endpoint: Make, status: int, acknowledged: bool
) -> None:
    hearer = endpoint(one_after_the_other(status))
    clients.subscribe(push_config=hearer.push_config, retry_policy=AT_ONCE)
    first = clients.publish()
    assert hearer.next()["message"]["messageId"] == first
    if not acknowledged:
        assert hearer.next()["message"]["messageId"] == first
        return
    clients.push_to("")
    second = clients.publish()
    assert clients.pull().message.message_id == second
    assert clients.ready() == []


def test_a_provisional_answer_is_not_the_answer(clients: Clients, endpoint: Make) -> None:
    def answer(_body: Any) -> int:
        return 100 if len(hearer.times) == 1 else 204

    hearer = endpoint(answer)
    clients.subscribe(push_config=hearer.push_config, ack_deadline_seconds=1, retry_policy=AT_ONCE)
    first = clients.publish()
    assert [hearer.next()["message"]["messageId"] for _ in range(2)] == [first, first]


def test_a_handler_slower_than_the_deadline_gets_the_message_again_and_its_late_answer_changes_nothing(
    clients: Clients, endpoint: Make
) -> None:
    late = threading.Event()
    late_answered = threading.Event()
    deliveries = itertools.count(1)

    def answer(_body: dict[str, Any]) -> int:
        delivery = next(deliveries)
        if delivery == 1:
            late.wait(DEADLINE_SECONDS)
            late_answered.set()
            return 200
        if delivery == 2:
            late.set()
            late_answered.wait(DEADLINE_SECONDS)
            return 500
        return 200

    hearer = endpoint(answer)
    clients.subscribe(push_config=hearer.push_config, ack_deadline_seconds=1, retry_policy=AT_ONCE)
    number = clients.publish()
    assert [hearer.next()["message"]["messageId"] for _ in range(3)] == [number] * 3


def test_a_refused_push_is_repeated_with_exponential_backoff(clients: Clients, endpoint: Make) -> None:
    hearer = endpoint(one_after_the_other(500, 404, 429, 500))
    clients.subscribe(
        push_config=hearer.push_config, retry_policy={"minimum_backoff": lasting(0.1), "maximum_backoff": lasting(0.3)}
    )
    clients.publish()
    assert len({hearer.next()["message"]["messageId"] for _ in range(5)}) == 1
    gaps = [later - earlier for earlier, later in zip(hearer.times, hearer.times[1:], strict=False)]
    assert [gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.3, 0.3), strict=True)] == [True] * 4


def test_without_a_policy_a_refused_push_comes_again_soon_but_is_no_hot_loop(clients: Clients, endpoint: Make) -> None:
    hearer = endpoint(one_after_the_other(500, 500, 500))
    clients.subscribe(push_config=hearer.push_config)
    clients.publish()
    assert len({hearer.next()["message"]["messageId"] for _ in range(4)}) == 1
    assert hearer.times[3] - hearer.times[0] >= 0.3


def test_a_waiting_message_does_not_hold_up_the_others(clients: Clients, endpoint: Make) -> None:
    hearer = endpoint(one_after_the_other(500))
    clients.subscribe(push_config=hearer.push_config, retry_policy=NEVER_AGAIN)
    numbers = [clients.publish()]
    assert hearer.next()["message"]["messageId"] == numbers[0]
    numbers.append(clients.publish())
    assert hearer.next()["message"]["messageId"] == numbers[1]


def test_sixteen_pushes_are_in_flight_and_no_more(clients: Clients, endpoint: Make) -> None:
    free = threading.Event()
    lock, at_work = threading.Lock(), [0, 0]

    def answer(_body: Any) -> int:
        with lock:
            at_work[0] += 1
            at_work[1] = max(at_work)
        free.wait(DEADLINE_SECONDS)
        with lock:
            at_work[0] -= 1
        return 200

    hearer = endpoint(answer)
    clients.subscribe(push_config=hearer.push_config)
    numbers = set(clients.publish_many(20))
    arrived = {hearer.next()["message"]["messageId"] for _ in range(16)}
    free.set()
    arrived |= {hearer.next()["message"]["messageId"] for _ in range(4)}
    assert (arrived, at_work[1]) == (numbers, 16)


def test_a_slow_function_does_not_hold_up_another(clients: Clients, endpoint: Make) -> None:
    free = threading.Event()
    slow, quick = endpoint(lambda _body: 200 if free.wait(DEADLINE_SECONDS) else 500), endpoint()
    clients.subscribe(push_config=slow.push_config)
    clients.subscribe(name="projects/p/subscriptions/quick", push_config=quick.push_config)
    numbers = clients.publish_many(100)
    assert {quick.next()["message"]["messageId"] for _ in range(100)} == set(numbers)
    free.set()
    assert {slow.next()["message"]["messageId"] for _ in range(100)} == set(numbers)


def test_connections_are_kept_alive(clients: Clients, endpoint: Make) -> None:
    hearer = endpoint()
    clients.subscribe(push_config=hearer.push_config)
    for _ in range(20):
        clients.publish()
        hearer.next()
    assert hearer.connections < 5


def test_an_answer_without_a_length_counts_when_its_connection_ends(clients: Clients, endpoint: Make) -> None:
    hearer = endpoint(one_after_the_other(200, 500, 200))
    hearer.answer_as_http_1_0()
    clients.subscribe(push_config=hearer.push_config, retry_policy=AT_ONCE)
    first = clients.publish()
    assert hearer.next()["message"]["messageId"] == first
    second = clients.publish()
    assert [hearer.next()["message"]["messageId"] for _ in range(2)] == [second, second]


def test_an_endpoint_that_hangs_up_is_not_hammered_and_gets_everything_in_the_end(
    clients: Clients, endpoint: Make
) -> None:
    down = threading.Event()
    down.set()
    hearer = endpoint(lambda _body: None if down.is_set() else 204)
    clients.subscribe(push_config=hearer.push_config, retry_policy=AT_ONCE)
    numbers = set(clients.publish_many(50))
    for _ in range(18):
        hearer.next()
    first_window = hearer.times[15]
    assert hearer.times[17] - first_window >= 0.1, "one at a time after the first window, with longer and longer pauses"
    down.clear()
    left = set(numbers)
    while left:
        left.discard(hearer.next()["message"]["messageId"])
    assert max(hearer.times) - first_window < DEADLINE_SECONDS


def test_a_message_waits_for_an_endpoint_that_is_not_there_yet(clients: Clients, endpoint: Make) -> None:
    gone = endpoint()
    gone.close()
    clients.subscribe(push_config=gone.push_config, retry_policy=AT_ONCE)
    number = clients.publish()
    hearer = endpoint()
    clients.push_to(hearer.url)
    assert hearer.next()["message"]["messageId"] == number


def test_a_pull_subscription_that_gets_an_endpoint_pushes_what_it_has(clients: Clients, endpoint: Make) -> None:
    clients.subscribe()
    number = clients.publish()
    hearer = endpoint()
    clients.push_to(hearer.url)
    assert hearer.next()["message"]["messageId"] == number
    assert clients.subscriber.get_subscription(subscription=SUBSCRIPTION).push_config.push_endpoint == hearer.url


def test_a_deleted_subscription_is_pushed_no_more(clients: Clients, endpoint: Make) -> None:
    hearer, other = endpoint(one_after_the_other(*[500] * 100)), endpoint()
    clients.subscribe(push_config=hearer.push_config, retry_policy=AT_ONCE)
    clients.publish()
    hearer.next()
    clients.subscriber.delete_subscription(subscription=SUBSCRIPTION)
    clients.subscribe(push_config=other.push_config)
    number = clients.publish()
    assert other.next()["message"]["messageId"] == number
    assert hearer.bodies.empty() or hearer.next()["message"]["messageId"] != number


def test_a_push_refused_too_often_becomes_a_dead_letter_that_is_pushed_itself(clients: Clients, endpoint: Make) -> None:
    refusing, mourner = endpoint(lambda _body: 500), endpoint()
    clients.subscribe(
        push_config=refusing.push_config, retry_policy=AT_ONCE, dead_letter_policy={"dead_letter_topic": LETTERS}
    )
    clients.subscribe(name="projects/p/subscriptions/mourner", topic=LETTERS, push_config=mourner.push_config)
    clients.publish(b"poison")
    letter = mourner.next()
    assert base64.b64decode(letter["message"]["data"]) == b"poison"
    assert letter["message"]["attributes"]["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert [refusing.next()["deliveryAttempt"] for _ in range(5)] == [1, 2, 3, 4, 5]
    assert refusing.bodies.empty()
