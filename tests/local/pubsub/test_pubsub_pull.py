"""Publish, pull, acknowledge, leases, retention, dead letters: the life of a message without push."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument
from google.cloud import pubsub_v1
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.types import PubsubMessage

from local.pubsub.server import running
from tests.local.pubsub.clients import LETTERS, SUBSCRIPTION, TOPIC, Clients, lasting

OTHER = "projects/p/subscriptions/other"
QUICK = {"minimum_backoff": lasting(0), "maximum_backoff": lasting(0)}


def test_a_message_arrives_as_it_was_published_and_is_gone_once_acknowledged(clients: Clients) -> None:
    clients.subscribe()
    message = PubsubMessage(data=b"\x00\xff", attributes={"colour": "réd"}, ordering_key="k")
    answer = clients.publisher.publish(topic=TOPIC, messages=[message])
    (received,) = clients.ready()
    message.message_id, message.publish_time = answer.message_ids[0], received.message.publish_time
    assert received.message == message
    assert received.delivery_attempt == 0
    clients.acknowledge(received.ack_id)
    later = clients.publish()
    assert [each.message.message_id for each in clients.ready()] == [later]


def test_the_official_publisher_with_its_batching_is_served(clients: Clients) -> None:
    clients.subscribe()
    publisher = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=clients.channel))
    futures = [publisher.publish(TOPIC, str(number).encode(), n=str(number)) for number in range(250)]
    numbers = [future.result(timeout=10) for future in futures]
    assert len(set(numbers)) == 250
    received = [(each.message.message_id, each.message.data) for each in clients.ready(most=1000)]
    assert sorted(received) == sorted((number, str(index).encode()) for index, number in enumerate(numbers))
    publisher.stop()


def test_messages_come_in_the_order_of_publishing(clients: Clients) -> None:
    clients.subscribe()
    numbers = clients.publish_many(300)
    assert [each.message.message_id for each in clients.ready(most=1000)] == numbers == sorted(numbers)


def test_every_subscription_gets_its_own_copy(clients: Clients) -> None:
    clients.subscribe()
    clients.subscribe(name=OTHER)
    number = clients.publish()
    (first,) = clients.ready()
    clients.acknowledge(first.ack_id)
    assert [each.message.message_id for each in clients.ready(OTHER)] == [number]


def test_a_subscription_hears_nothing_from_before_it_was_made(clients: Clients) -> None:
    clients.publish()
    clients.subscribe()
    assert clients.ready() == []


def test_a_pull_that_finds_nothing_waits_for_the_first_message(clients: Clients) -> None:
    clients.subscribe()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(clients.subscriber.pull, subscription=SUBSCRIPTION, max_messages=5)
        number = clients.publish()
        assert [each.message.message_id for each in waiting.result().received_messages] == [number]


def test_a_message_on_lease_is_nobody_elses(clients: Clients) -> None:
    clients.subscribe()
    clients.publish_many(3)
    assert [len(clients.ready(most=2)), len(clients.ready()), len(clients.ready())] == [2, 1, 0]


def test_a_message_that_is_not_acknowledged_in_time_comes_again(clients: Clients) -> None:
    clients.subscribe(ack_deadline_seconds=1)
    clients.publish()
    (first,) = clients.ready()
    second = clients.pull()
    assert second.message == first.message
    assert second.ack_id != first.ack_id


def test_an_acknowledgement_of_a_lease_that_was_given_again_changes_nothing(clients: Clients) -> None:
    clients.subscribe()
    clients.publish()
    (first,) = clients.ready()
    clients.give_back(first.ack_id)
    second = clients.pull()
    clients.acknowledge(first.ack_id)
    clients.give_back(second.ack_id)
    assert clients.pull().message == first.message


def test_a_lease_can_be_made_longer(clients: Clients) -> None:
    clients.subscribe(ack_deadline_seconds=1)
    clients.subscribe(name=OTHER, ack_deadline_seconds=1)
    clients.publish()
    (extended,) = clients.ready()
    clients.modify(600, extended.ack_id)
    assert len(clients.ready(OTHER)) == 1
    assert clients.pull(OTHER), "by now the shorter lease of the same age is over"
    assert clients.ready() == []


def test_a_message_given_back_waits_for_the_retry_policy(clients: Clients) -> None:
    clients.subscribe(retry_policy={"minimum_backoff": lasting(600), "maximum_backoff": lasting(600)})
    clients.subscribe(name=OTHER)
    clients.publish()
    (first,), (other,) = clients.ready(), clients.ready(OTHER)
    clients.give_back(first.ack_id)
    clients.subscriber.modify_ack_deadline(subscription=OTHER, ack_ids=[other.ack_id], ack_deadline_seconds=0)
    assert clients.pull(OTHER), "without a policy it comes again at once"
    assert clients.ready() == []


def test_wrong_ack_ids_and_deadlines_are_refused(clients: Clients) -> None:
    clients.subscribe()
    clients.publish()
    (received,) = clients.ready()
    for ack_id in ("nonsense", "1.2", "1.2.x", "1.2.٣", "1.2." + "9" * 30):
        with pytest.raises(InvalidArgument, match="invalid ack ID"):
            clients.acknowledge(ack_id)
    for seconds in (-1, 601):
        with pytest.raises(InvalidArgument, match="ack_deadline_seconds"):
            clients.modify(seconds, received.ack_id)
    for call in (clients.acknowledge, clients.give_back):
        with pytest.raises(InvalidArgument, match="ack ids"):
            call()
    with pytest.raises(InvalidArgument, match="max_messages"):
        clients.ready(most=0)


def test_the_ack_id_of_one_subscription_does_nothing_to_another(clients: Clients) -> None:
    clients.subscribe(ack_deadline_seconds=1)
    clients.subscribe(name=OTHER)
    clients.publish()
    (other,) = clients.ready(OTHER)
    clients.acknowledge(other.ack_id)
    assert len(clients.ready()) == 1


def _big(**fields: Any) -> list[Any]:
    return [PubsubMessage(**fields)]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "message_count is too small"),
        (_big(data=b"x") * 1001, "message_count is too large"),
        (_big(), "empty"),
        (_big(ordering_key="k"), "empty"),
        (_big(data=b"x" * 10_000_000), "request_size"),
        (_big(attributes={str(number): "" for number in range(101)}), "attribute_count"),
        (_big(attributes={"k" * 257: ""}), "attribute_key_size"),
        (_big(attributes={"": "x"}), "attribute_key_size"),
        (_big(attributes={"k": "é" * 513}), "attribute_value_size"),
        (_big(attributes={"google": "x"}), "goog"),
        (_big(data=b"x", ordering_key="k" * 1025), "ordering_key_size"),
    ],
)
def test_a_publish_beyond_googles_limits_is_refused_whole(clients: Clients, messages: list[Any], why: str) -> None:
    clients.subscribe()
    with pytest.raises(InvalidArgument, match=why):
        clients.publisher.publish(topic=TOPIC, messages=[*_big(data=b"good"), *messages] if messages else [])
    assert clients.ready() == []


def test_a_publish_at_googles_limits_is_accepted(clients: Clients) -> None:
    clients.subscribe()
    attributes = {"k" * 253 + f"{number:03}": "v" * 1024 for number in range(100)}
    clients.publisher.publish(topic=TOPIC, messages=_big(attributes=attributes))
    clients.publisher.publish(topic=TOPIC, messages=_big(data=b"x" * 9_999_000))
    clients.publish_many(1000)
    assert len(clients.ready(most=1)) == 1
    assert len(clients.ready(most=1)[0].message.data) == 9_999_000
    assert len(clients.ready(most=1000)) == 1000


def test_messages_older_than_the_retention_are_dropped(tmp_path: Path) -> None:
    now = [1_000_000.0]
    with running(tmp_path, clock=lambda: now[0]) as server:
        clients = Clients(server.host)
        clients.publisher.create_topic(name=TOPIC)
        clients.subscribe(message_retention_duration=lasting(600))
        clients.subscribe(name=OTHER)
        old = clients.publish()
        now[0] += 601
        new = clients.publish()
        assert [each.message.message_id for each in clients.ready()] == [new]
        assert [each.message.message_id for each in clients.ready(OTHER)] == [old, new]
        clients.close()


def test_a_message_that_failed_too_often_becomes_a_dead_letter(clients: Clients) -> None:
    clients.subscribe(retry_policy=QUICK, dead_letter_policy={"dead_letter_topic": LETTERS, "max_delivery_attempts": 6})
    clients.subscribe(name=OTHER, topic=LETTERS)
    number = clients.publish(b"poison", colour="red")
    attempts = []
    for _ in range(6):
        received = clients.pull()
        attempts.append(received.delivery_attempt)
        clients.give_back(received.ack_id)
    letter = clients.pull(OTHER).message
    assert attempts == [1, 2, 3, 4, 5, 6]
    assert (letter.data, letter.message_id != number) == (b"poison", True)
    published = letter.attributes.pop("CloudPubSubDeadLetterSourceTopicPublishTime")
    assert datetime.fromisoformat(published) == received.message.publish_time
    assert dict(letter.attributes) == {
        "colour": "red",
        "CloudPubSubDeadLetterSourceSubscription": "hearer",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceDeliveryCount": "6",
    }
    assert clients.ready() == []


def test_without_its_dead_letter_topic_a_message_is_tried_on(clients: Clients) -> None:
    clients.subscribe(retry_policy=QUICK, dead_letter_policy={"dead_letter_topic": LETTERS})
    clients.publisher.delete_topic(topic=LETTERS)
    clients.publish()
    attempts = []
    for _ in range(7):
        received = clients.pull()
        attempts.append(received.delivery_attempt)
        clients.give_back(received.ack_id)
    assert attempts == [1, 2, 3, 4, 5, 6, 7]


def test_a_missed_deadline_counts_as_an_attempt(clients: Clients) -> None:
    clients.subscribe(ack_deadline_seconds=1, retry_policy=QUICK, dead_letter_policy={"dead_letter_topic": LETTERS})
    clients.publish()
    clients.ready()
    assert clients.pull().delivery_attempt == 2
