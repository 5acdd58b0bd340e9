"""Topics and subscriptions: made, read, listed, changed by mask, deleted, refused."""

import contextlib
from typing import Any

import grpc
import pytest
from google.api_core.exceptions import (
    AlreadyExists,
    FailedPrecondition,
    GoogleAPICallError,
    InvalidArgument,
    MethodNotImplemented,
    NotFound,
    OutOfRange,
)
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import PushConfig, Subscription, Topic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.pubsub.clients import LETTERS, SUBSCRIPTION, TOPIC, Clients, lasting

METHODS = [
    f"Publisher/{name}"
    for name in ("CreateTopic", "GetTopic", "ListTopics", "UpdateTopic", "DeleteTopic", "Publish", "NoSuchMethod")
] + [
    f"Subscriber/{name}"
    for name in (
        "CreateSubscription",
        "UpdateSubscription",
        "ModifyPushConfig",
        "Pull",
        "Acknowledge",
        "ModifyAckDeadline",
        "StreamingPull",
    )
]


def test_a_topic_is_read_as_it_was_made(clients: Clients) -> None:
    made = clients.publisher.create_topic(request={"name": "projects/p/topics/labelled", "labels": {"a": "b"}})
    assert clients.publisher.get_topic(topic=made.name) == made == Topic(name=made.name, labels={"a": "b"})


def test_a_topic_is_changed_by_its_mask_alone(clients: Clients) -> None:
    wanted = {"name": TOPIC, "labels": {"a": "b"}, "message_retention_duration": lasting(600)}
    changed = clients.publisher.update_topic(request={"topic": wanted, "update_mask": {"paths": ["labels"]}})
    assert changed == clients.publisher.get_topic(topic=TOPIC) == Topic(name=TOPIC, labels={"a": "b"})


def test_topics_are_listed_page_by_page_and_by_project(clients: Clients) -> None:
    clients.publisher.create_topic(name="projects/pp/topics/elsewhere")
    pages = list(clients.publisher.list_topics(request={"project": "projects/p", "page_size": 1}).pages)
    assert [[topic.name for topic in page.topics] for page in pages] == [[TOPIC], [LETTERS]]
    assert [bool(page.next_page_token) for page in pages] == [True, False]


def test_a_deleted_topic_leaves_its_subscriptions_with_what_they_still_have(clients: Clients) -> None:
    clients.subscribe()
    number = clients.publish()
    clients.publisher.delete_topic(topic=TOPIC)
    assert clients.subscriber.get_subscription(subscription=SUBSCRIPTION).topic == "_deleted-topic_"
    assert [each.message.message_id for each in clients.ready()] == [number]
    clients.publisher.create_topic(name=TOPIC)
    assert list(clients.publisher.list_topic_subscriptions(topic=TOPIC)) == []


def test_a_subscription_gets_googles_defaults(clients: Clients) -> None:
    made = clients.subscribe()
    expected = Subscription(name=SUBSCRIPTION, topic=TOPIC, ack_deadline_seconds=10)
    expected.message_retention_duration = lasting(7 * 86_400)
    expected.expiration_policy.ttl = lasting(31 * 86_400)
    expected.push_config = PushConfig()
    assert made == clients.subscriber.get_subscription(subscription=SUBSCRIPTION) == expected


def test_every_setting_of_a_push_subscription_is_kept(clients: Clients) -> None:
    wanted = Subscription(
        name=SUBSCRIPTION,
        topic=TOPIC,
        ack_deadline_seconds=600,
        push_config={
            "push_endpoint": "http://127.0.0.1:9/x",
            "oidc_token": {"service_account_email": "a@b.c", "audience": "d"},
        },
        message_retention_duration=lasting(600),
        labels={"a": "b"},
        expiration_policy={},
        filter="attributes:a",
        dead_letter_policy={"dead_letter_topic": LETTERS, "max_delivery_attempts": 100},
        retry_policy={"minimum_backoff": lasting(0.25), "maximum_backoff": lasting(1)},
    )
    assert clients.subscriber.create_subscription(request=wanted) == wanted
    assert clients.subscriber.get_subscription(subscription=SUBSCRIPTION) == wanted


def test_a_subscription_is_changed_by_its_mask_alone(clients: Clients) -> None:
    made = clients.subscribe(
        ack_deadline_seconds=60, retry_policy={"minimum_backoff": lasting(1), "maximum_backoff": lasting(2)}
    )
    wanted = {"name": SUBSCRIPTION, "labels": {"a": "b"}, "ack_deadline_seconds": 20}
    paths = ["labels", "retry_policy.minimum_backoff"]
    wanted["retry_policy"] = {"minimum_backoff": lasting(0.5)}
    changed = clients.subscriber.update_subscription(request={"subscription": wanted, "update_mask": {"paths": paths}})
    made.labels = {"a": "b"}
    made.retry_policy.minimum_backoff = lasting(0.5)
    assert changed == clients.subscriber.get_subscription(subscription=SUBSCRIPTION) == made


def test_a_policy_that_is_masked_but_not_given_goes(clients: Clients) -> None:
    clients.subscribe(dead_letter_policy={"dead_letter_topic": LETTERS})
    changed = clients.subscriber.update_subscription(
        request={"subscription": {"name": SUBSCRIPTION}, "update_mask": {"paths": ["dead_letter_policy"]}}
    )
    assert "dead_letter_policy" not in changed


def test_a_dead_letter_policy_without_a_number_means_five_attempts(clients: Clients) -> None:
    made = clients.subscribe(dead_letter_policy={"dead_letter_topic": LETTERS})
    assert made.dead_letter_policy.max_delivery_attempts == 5


def test_subscriptions_are_listed_by_project_by_topic_and_page_by_page(clients: Clients) -> None:
    names = [f"projects/p/subscriptions/hearer-{number}" for number in range(3)]
    for name in names:
        clients.subscribe(name=name)
    clients.subscribe(name="projects/p/subscriptions/other", topic=LETTERS)
    listed = clients.subscriber.list_subscriptions(request={"project": "projects/p", "page_size": 2})
    assert [each.name for each in listed] == [*names, "projects/p/subscriptions/other"]
    request = {"topic": TOPIC, "page_size": 2}
    assert list(clients.publisher.list_topic_subscriptions(request=request)) == names


def test_a_deleted_subscription_is_gone_and_made_again_it_is_empty(clients: Clients) -> None:
    clients.subscribe()
    clients.publish()
    clients.subscriber.delete_subscription(subscription=SUBSCRIPTION)
    with pytest.raises(NotFound):
        clients.ready()
    clients.subscribe()
    assert clients.ready() == []


@pytest.mark.parametrize(
    "name",
    [
        "projects/p/topics/ab",
        "projects/p/topics/googled",
        "projects/p/topics/1st",
        "projects/p/topics/a b c",
        "projects/p/topics/" + "a" * 256,
        "projects/p/subscriptions/abc",
        "topics/abc",
        "",
    ],
)
def test_a_name_that_google_refuses_is_refused(clients: Clients, name: str) -> None:
    with pytest.raises(InvalidArgument, match="name"):
        clients.publisher.create_topic(name=name)


def test_the_longest_name_is_accepted(clients: Clients) -> None:
    name = "projects/p/topics/a" + "b~+%._-9" * 31 + "cccccc"
    assert clients.publisher.create_topic(name=name).name == name
    assert len(name.rsplit("/", 1)[1]) == 255


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "projects/p/subscriptions/ab"},
        {"ack_deadline_seconds": 601},
        {"ack_deadline_seconds": -1},
        {"dead_letter_policy": {"dead_letter_topic": "letters"}},
        {"retry_policy": {"minimum_backoff": lasting(601)}},
        {"retry_policy": {"minimum_backoff": lasting(20), "maximum_backoff": lasting(10)}},
        {"retry_policy": {"maximum_backoff": lasting(5)}},
        {"message_retention_duration": lasting(599)},
        {"message_retention_duration": lasting(32 * 86_400)},
        {"expiration_policy": {"ttl": lasting(3600)}},
        {"push_config": {"push_endpoint": "not a url"}},
        {"push_config": {"push_endpoint": "ftp://host/x"}},
        {"push_config": {"push_endpoint": "http://host:99999/x"}},
        {"push_config": {"push_endpoint": "http://host/a b"}},
    ],
)
def test_a_setting_beyond_googles_limits_is_refused(clients: Clients, wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        clients.subscribe(**wanted)


@pytest.mark.parametrize("attempts", [4, 101])
def test_a_number_of_attempts_beyond_googles_limits_is_out_of_range(clients: Clients, attempts: int) -> None:
    with pytest.raises(OutOfRange, match=f"max_delivery_attempts is too .* You passed {attempts}"):
        clients.subscribe(dead_letter_policy={"dead_letter_topic": LETTERS, "max_delivery_attempts": attempts})


def test_a_dead_letter_topic_must_be_there_when_it_is_named_and_may_go_later(clients: Clients) -> None:
    with pytest.raises(NotFound, match="Dead letter topic not found"):
        clients.subscribe(dead_letter_policy={"dead_letter_topic": "projects/p/topics/none"})
    clients.subscribe(dead_letter_policy={"dead_letter_topic": LETTERS})
    clients.publisher.delete_topic(topic=LETTERS)
    wanted = {"name": SUBSCRIPTION, "labels": {"a": "b"}}
    changed = clients.subscriber.update_subscription(
        request={"subscription": wanted, "update_mask": {"paths": ["labels"]}}
    )
    assert dict(changed.labels) == {"a": "b"}


@pytest.mark.parametrize("paths", [[], ["colour"], ["topic"], ["name"]])
def test_a_mask_that_google_refuses_is_refused(clients: Clients, paths: list[str]) -> None:
    made = clients.subscribe()
    with pytest.raises(InvalidArgument, match="mask"):
        clients.subscriber.update_subscription(subscription=made, update_mask=FieldMask(paths=paths))


@pytest.mark.parametrize(
    "wanted",
    [
        {"enable_exactly_once_delivery": True},
        {"enable_message_ordering": True},
        {"bigquery_config": {"table": "a.b.c"}},
        {"cloud_storage_config": {"bucket": "abc"}},
        {"push_config": {"push_endpoint": "http://127.0.0.1:9/x", "no_wrapper": {"write_metadata": True}}},
    ],
)
def test_what_would_be_ignored_is_refused_as_unimplemented(clients: Clients, wanted: dict[str, Any]) -> None:
    with pytest.raises(MethodNotImplemented, match="not implemented"):
        clients.subscribe(**wanted)


def test_what_is_there_already_is_not_made_again(clients: Clients) -> None:
    clients.subscribe()
    with pytest.raises(AlreadyExists, match=r"Resource already exists in the project \(resource=events\)"):
        clients.publisher.create_topic(name=TOPIC)
    with pytest.raises(AlreadyExists, match="resource=hearer"):
        clients.subscribe()


def test_what_is_not_there_is_not_found(clients: Clients) -> None:
    topic, subscription = "projects/p/topics/none", "projects/p/subscriptions/none"
    for call in (
        lambda: clients.publish(topic=topic),
        lambda: clients.publisher.get_topic(topic=topic),
        lambda: clients.publisher.delete_topic(topic=topic),
        lambda: clients.publisher.list_topic_subscriptions(topic=topic),
        lambda: clients.subscribe(topic=topic),
        lambda: clients.subscriber.get_subscription(subscription=subscription),
        lambda: clients.subscriber.delete_subscription(subscription=subscription),
        lambda: clients.subscriber.acknowledge(subscription=subscription, ack_ids=["1.1.1"]),
        lambda: clients.ready(subscription),
    ):
        with pytest.raises(NotFound, match=r"Resource not found \(resource=none\)"):
            call()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), request=st.binary(max_size=60))
def test_no_bytes_make_the_server_fail(clients: Clients, method: str, request: bytes) -> None:
    call = clients.channel.unary_unary(f"/google.pubsub.v1.{method}")
    with contextlib.suppress(grpc.RpcError):
        call(b"\n\x0aprojects/p" + request, timeout=5)
    try:
        call(request, timeout=5)
    except grpc.RpcError as refused:
        assert refused.code() in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.UNIMPLEMENTED,
        )
    assert clients.publisher.get_topic(topic=LETTERS).name == LETTERS


def test_a_push_subscription_cannot_be_pulled(clients: Clients) -> None:
    clients.subscribe(push_config={"push_endpoint": "http://127.0.0.1:9/x"})
    with pytest.raises(FailedPrecondition):
        clients.ready()


def test_a_method_that_serin_does_not_use_is_unimplemented_by_its_name(clients: Clients) -> None:
    with pytest.raises(GoogleAPICallError, match=r"not implemented.*/google.pubsub.v1.Subscriber/CreateSnapshot") as no:
        clients.subscriber.create_snapshot(name="projects/p/snapshots/one", subscription=SUBSCRIPTION, timeout=5)
    assert no.value.grpc_status_code == grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(GoogleAPICallError, match="GetIamPolicy") as no:
        clients.publisher.get_iam_policy(request={"resource": TOPIC}, timeout=5)
    assert no.value.grpc_status_code == grpc.StatusCode.UNIMPLEMENTED
