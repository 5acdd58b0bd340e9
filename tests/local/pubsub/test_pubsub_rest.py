"""The REST wire, as gcloud and curl speak it: the same broker, Google's forms, and no request that makes it fail."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.auth.transport import requests as google_requests
from google.oauth2 import id_token
from google.pubsub_v1 import types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.pubsub.server import running
from tests.local.fuzzing import EXAMPLES, JSON, TOKENS, check_answer
from tests.local.pubsub.clients import LETTERS, SUBSCRIPTION, TOPIC, Clients, Endpoint

REST = f"/v1/{SUBSCRIPTION}"
FUZZED = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def rest(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{server}", verify=False, timeout=20) as http:
        yield http


def refused(answer: httpx.Response) -> tuple[int, str]:
    check_answer(answer)
    return answer.status_code, answer.json()["error"]["status"]


def test_what_comes_in_by_one_wire_goes_out_by_the_other(clients: Clients, rest: httpx.Client) -> None:
    assert rest.put(REST, json={"topic": TOPIC, "ackDeadlineSeconds": 20}).json()["ackDeadlineSeconds"] == 20
    sent = {"messages": [{"data": base64.b64encode(b"hello").decode(), "attributes": {"colour": "red"}}]}
    (number,) = rest.post(f"/v1/{TOPIC}:publish", json=sent).json()["messageIds"]
    heard = clients.pull()
    assert (heard.message.message_id, heard.message.data, dict(heard.message.attributes)) == (
        number, b"hello", {"colour": "red"},
    )  # fmt: skip
    assert rest.post(f"{REST}:acknowledge", json={"ackIds": [heard.ack_id]}).json() == {}
    clients.publish(b"back")
    (back,) = rest.post(f"{REST}:pull", json={"maxMessages": 10}).json()["receivedMessages"]
    assert base64.b64decode(back["message"]["data"]) == b"back"
    assert (
        rest.post(f"{REST}:modifyAckDeadline", json={"ackIds": [back["ackId"]], "ackDeadlineSeconds": 0}).json() == {}
    )
    assert rest.get("/v1/projects/p/subscriptions").json()["subscriptions"][0]["name"] == SUBSCRIPTION
    assert rest.get(f"/v1/{TOPIC}/subscriptions").json() == {"subscriptions": [SUBSCRIPTION]}
    assert rest.delete(REST).json() == {}
    assert refused(rest.get(REST)) == (404, "NOT_FOUND")


def test_a_change_is_of_what_its_mask_names(clients: Clients, rest: httpx.Client) -> None:
    clients.subscribe(labels={"a": "b"})
    wanted = {"subscription": {"ackDeadlineSeconds": 33, "labels": {}}, "updateMask": "ackDeadlineSeconds"}
    changed = rest.patch(REST, json=wanted).json()
    assert (changed["ackDeadlineSeconds"], changed["labels"]) == (33, {"a": "b"})


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", f"/v1/{SUBSCRIPTION}:seek", 501),
        ("GET", f"/v1/{TOPIC}:getIamPolicy", 501),
        ("PUT", "/v1/projects/p/snapshots/one", 501),
        ("GET", "/v1/projects/p/schemas", 501),
        ("GET", "/", 404),
        ("GET", "/v2/projects/p/topics", 404),
        ("POST", f"/v1/{TOPIC}:destroy", 404),
    ],
)
def test_what_is_not_here_says_so_in_googles_form(rest: httpx.Client, method: str, path: str, code: int) -> None:
    assert refused(rest.request(method, path))[0] == code


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com:80", "localhost.example.com", ""])
def test_only_this_machine_may_ask(rest: httpx.Client, host: str) -> None:
    assert refused(rest.get("/v1/projects/p/topics", headers={"Host": host})) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"text"', b"\xff", b"[" * 100_000, b'{"messages": 7}', b'{"messages": [{"data": "%"}]}',
     b'{"messages": [{"attributes": {"a": 1}}]}', b'{"messages": [{}]}', b'{"messages": []}', b'{"unknown": 1}',
     b'{"messages": [{"data": "eA==", "attributes": {"goog": "x"}}]}', b'{"messages": [{"data": NaN}]}'],
)  # fmt: skip
def test_a_malformed_publish_is_refused_as_invalid(clients: Clients, rest: httpx.Client, body: bytes) -> None:
    clients.subscribe()
    assert refused(rest.post(f"/v1/{TOPIC}:publish", content=body)) == (400, "INVALID_ARGUMENT")
    assert clients.ready() == []


def test_a_request_beyond_the_limit_is_refused(clients: Clients, rest: httpx.Client) -> None:
    assert clients.publisher.get_topic(topic=TOPIC).name == TOPIC
    large = json.dumps({"messages": [{"data": base64.b64encode(b"x" * 10_000_001).decode()}]})
    assert refused(rest.post(f"/v1/{TOPIC}:publish", content=large)) == (400, "INVALID_ARGUMENT")


def test_a_token_on_a_push_is_verified_as_googles_is(tmp_path: Path, endpoint: Callable[..., Endpoint]) -> None:
    with running(tmp_path) as server:
        clients = Clients(server.host)
        clients.publisher.create_topic(name=TOPIC)
        hearer = endpoint()
        token = {"service_account_email": "pusher@p.iam.gserviceaccount.com", "audience": "https://mine"}
        clients.subscribe(push_config={**hearer.push_config, "oidc_token": token})
        clients.publish()
        hearer.next()
        kind, _, sent = hearer.headers.get()["Authorization"].partition(" ")
        certificates = f"http://{server.host}/oauth2/v1/certs"
        claims = id_token.verify_token(  # type: ignore[no-untyped-call]
            sent, google_requests.Request(), audience="https://mine", certs_url=certificates
        )
        clients.close()
    assert (kind, claims["email"], claims["email_verified"]) == ("Bearer", token["service_account_email"], True)


PATHS = st.sampled_from(
    [TOPIC, f"{TOPIC}:publish", f"{TOPIC}/subscriptions", "projects/p/topics", "projects/p/subscriptions", LETTERS,
     SUBSCRIPTION, f"{SUBSCRIPTION}:acknowledge", f"{SUBSCRIPTION}:modifyAckDeadline",
     f"{SUBSCRIPTION}:modifyPushConfig", "projects/p/subscriptions/other", "projects/%2f/topics/x", "projects//topics/"]
)  # fmt: skip
_FIELDS = """name topic messages data attributes ackIds ackDeadlineSeconds pushConfig pushEndpoint filter retryPolicy
deadLetterPolicy labels updateMask subscription expirationPolicy messageRetentionDuration maxMessages orderingKey"""
FIELDS = st.sampled_from(_FIELDS.split())
BODIES = st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON, max_size=3), max_size=4)
QUERIES = st.dictionaries(st.sampled_from(["pageSize", "pageToken", "updateMask", "alt", "x"]), TOKENS, max_size=2)


@FUZZED
@given(method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), path=PATHS, body=BODIES, query=QUERIES)
def test_no_request_finds_an_internal_error_and_a_right_one_is_still_answered(
    clients: Clients, rest: httpx.Client, method: str, path: str, body: dict[str, Any], query: dict[str, str]
) -> None:
    check_answer(rest.request(method, f"/v1/{path}", json=body, params=query))
    check_still_right(clients)


METHODS: dict[str, Any] = {
    "Publisher/Publish": types.PublishRequest(topic=TOPIC, messages=[{"data": b"x", "attributes": {"a": "b"}}]),
    "Publisher/CreateTopic": types.Topic(name="projects/p/topics/another", labels={"a": "b"}),
    "Publisher/ListTopics": types.ListTopicsRequest(project="projects/p", page_size=2, page_token="x"),
    "Subscriber/CreateSubscription": types.Subscription(
        name="projects/p/subscriptions/another", topic=TOPIC, filter='attributes.a = "b"', ack_deadline_seconds=20,
        dead_letter_policy={"dead_letter_topic": LETTERS, "max_delivery_attempts": 5},
        retry_policy={"minimum_backoff": {"seconds": 1}}, push_config={"push_endpoint": "http://127.0.0.1:9/x"},
    ),
    "Subscriber/UpdateSubscription": types.UpdateSubscriptionRequest(
        subscription={"name": "projects/p/subscriptions/another", "ack_deadline_seconds": 20},
        update_mask={"paths": ["ack_deadline_seconds"]},
    ),
    "Subscriber/ModifyAckDeadline": types.ModifyAckDeadlineRequest(
        subscription="projects/p/subscriptions/another", ack_ids=["1.1.1"], ack_deadline_seconds=20
    ),
    "Subscriber/Acknowledge": types.AcknowledgeRequest(subscription="projects/p/subscriptions/another", ack_ids=["1"]),
}  # fmt: skip
ALLOWED = frozenset({"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "OUT_OF_RANGE",
                     "UNIMPLEMENTED"})  # fmt: skip


@FUZZED
@given(method=st.sampled_from(sorted(METHODS)), changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255))))
def test_no_damaged_grpc_request_finds_an_internal_error(
    clients: Clients, method: str, changes: list[tuple[int, int]]
) -> None:
    message = METHODS[method]
    damaged = bytearray(type(message).serialize(message))
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    try:
        clients.channel.unary_unary(f"/google.pubsub.v1.{method}")(bytes(damaged), timeout=10)
    except grpc.RpcError as error:
        assert error.code().name in ALLOWED, error
    check_still_right(clients)


def check_still_right(clients: Clients) -> None:
    """A topic and a subscription that nobody else names carry a message, whatever was sent before."""
    topic, subscription = "projects/q/topics/right", "projects/q/subscriptions/right"
    if topic not in {each.name for each in clients.publisher.list_topics(project="projects/q")}:
        clients.publisher.create_topic(name=topic)
        clients.subscriber.create_subscription(name=subscription, topic=topic)
    number = clients.publish(b"right", topic)
    (heard,) = clients.ready(subscription)
    assert (heard.message.message_id, heard.message.data) == (number, b"right")
    clients.subscriber.acknowledge(subscription=subscription, ack_ids=[heard.ack_id])
