"""The filter language: what passes, what does not, what is refused."""

from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given, settings
from hypothesis import strategies as st

from local.errors import CloudError, Status
from local.pubsub.filters import parse
from tests.local.pubsub.clients import SUBSCRIPTION, Clients


@pytest.mark.parametrize(
    ("text", "attributes", "passes"),
    [
        ("", {}, True),
        ("  ", {"a": "x"}, True),
        ("attributes:a", {"a": ""}, True),
        ("attributes:a", {"b": ""}, False),
        ('attributes.a = "x"', {"a": "x"}, True),
        ('attributes.a="x"', {"a": "x"}, True),
        ('attributes.a = "x"', {"a": "X"}, False),
        ('attributes.a = "x"', {}, False),
        ('attributes.a = ""', {}, False),
        ('attributes.a != "x"', {"a": "y"}, True),
        ('attributes.a != "x"', {"a": "x"}, False),
        ('attributes.a != "x"', {}, True),
        ('hasPrefix(attributes.a, "da")', {"a": "data"}, True),
        ('hasPrefix(attributes.a, "da")', {"a": "a data"}, False),
        ('hasPrefix(attributes.a, "")', {"a": ""}, True),
        ('hasPrefix(attributes.a, "")', {}, False),
        ('hasPrefix(attributes."a b",\n"x")', {"a b": "xy"}, True),
        ("NOT attributes:a", {}, True),
        ("-attributes:a", {"a": "1"}, False),
        ('NOT attributes:a AND attributes.b = "1"', {"b": "1"}, True),
        ('NOT (attributes:a AND attributes.b = "1")', {"b": "1"}, True),
        ("attributes:a OR attributes:b OR attributes:c", {"c": ""}, True),
        ("attributes:a AND attributes:b AND attributes:c", {"a": "", "c": ""}, False),
        ("attributes:a AND (attributes:b OR attributes:c)", {"a": "", "c": ""}, True),
        ("(attributes:a AND attributes:b) OR attributes:c", {"c": ""}, True),
        ("((attributes:a))", {"a": ""}, True),
        ('attributes.ce-type = "t"', {"ce-type": "t"}, True),
        ('attributes."ce-type" = "t"', {"ce-type": "t"}, True),
        ('attributes:"iana.org/language_tag"', {"iana.org/language_tag": "en"}, True),
        ("attributes:2nd", {"2nd": ""}, True),
        ('attributes:"みんな"', {"みんな": ""}, True),
        ('attributes:"\\u307F\\u3093\\u306A"', {"みんな": ""}, True),
        ('attributes.a = "say \\"x\\""', {"a": 'say "x"'}, True),
        ('attributes.a = "\\x41\\101\\n\\\\\\U0001F426"', {"a": "AA\n\\🐦"}, True),
    ],
)
def test_a_filter_lets_through_what_it_says(text: str, attributes: dict[str, str], passes: bool) -> None:
    assert parse(text)(attributes) is passes


@pytest.mark.parametrize(
    "text",
    [
        "attributes",
        "attributes.a",
        "attributes:",
        "attributes.a = x",
        "attributes.a = 'x'",
        "attributes.a = ",
        'attributes.a == "x"',
        'attributes.a > "x"',
        'attributes.a : "x"',
        'attributes = "x"',
        'data = "x"',
        'Attributes.a = "x"',
        "attributes:a AND",
        "AND attributes:a",
        "attributes:a attributes:b",
        "attributes:a and attributes:b",
        "(attributes:a",
        "attributes:a)",
        "()",
        "NOT",
        "NOT NOT attributes:a",
        "attributes:a OR attributes:b AND attributes:c",
        'hasSuffix(attributes.a, "x")',
        'hasPrefix(attributes.a "x")',
        'hasPrefix(attributes:a, "x")',
        'hasPrefix("x", attributes.a)',
        'hasPrefix(attributes.a, "x"',
        'attributes.a = "unended',
        'attributes.a = "\\q"',
        'attributes.a = "\\UFFFFFFFF"',
        "attributes:みんな",
        'attributes.a = "' + "x" * 256 + '"',
    ],
)
def test_a_wrong_filter_is_refused(text: str) -> None:
    with pytest.raises(CloudError, match="filter") as refused:
        parse(text)
    assert refused.value.status is Status.INVALID_ARGUMENT


_PIECES = st.sampled_from(
    [
        "attributes",
        ":",
        ".",
        "a",
        '"b c"',
        "=",
        "!=",
        '"x"',
        "AND",
        "OR",
        "NOT",
        "-",
        "(",
        ")",
        "hasPrefix",
        ",",
        "%",
        '"',
    ]
)


@given(st.lists(_PIECES, max_size=20).map(" ".join), st.dictionaries(st.sampled_from("abx"), st.text(max_size=3)))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_filter_or_is_refused(text: str, attributes: dict[str, str]) -> None:
    try:
        assert parse(text)(attributes) in (True, False)
    except CloudError as refused:
        assert refused.status is Status.INVALID_ARGUMENT


def test_each_subscription_hears_what_its_own_filter_lets_through(clients: Clients) -> None:
    names = {prefix: f"projects/p/subscriptions/{prefix}" for prefix in ("data", "settings")}
    for prefix, name in names.items():
        clients.subscribe(name=name, filter=f'hasPrefix(attributes.objectId, "{prefix}/")')
    clients.subscribe()
    first, second, third = (clients.publish(objectId=name) for name in ("data/a", "settings/a", "other/a"))

    def heard(name: str) -> list[Any]:
        return [each.message.message_id for each in clients.ready(name)]

    assert (heard(names["data"]), heard(names["settings"]), heard(SUBSCRIPTION)) == (
        [first],
        [second],
        [first, second, third],
    )


def test_a_subscription_with_a_wrong_filter_is_not_made(clients: Clients) -> None:
    with pytest.raises(InvalidArgument, match="filter"):
        clients.subscribe(filter="attributes.a")
    assert list(clients.subscriber.list_subscriptions(project="projects/p")) == []


def test_the_filter_of_a_subscription_never_changes(clients: Clients) -> None:
    made = clients.subscribe(filter="attributes:a")
    made.filter = "attributes:b"
    with pytest.raises(InvalidArgument, match="filter"):
        clients.subscriber.update_subscription(subscription=made, update_mask=FieldMask(paths=["filter"]))
