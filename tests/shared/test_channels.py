"""Which channel hears which notice, and how wrong channels are refused without an address being said."""

import pytest

from shared.channels import Channel, channels_of
from shared.environment import read_environment
from shared.errors import BadInput
from shared.events import Notification

ROUTED = """
[[channel]]
name = "on-call"
address = "pagerduty://integration-key@api-key"
severity = "error"

[[channel]]
name = "fraud-team"
address = "https://fraud.example.org/hooks/serin"
models = ["fraud-*"]
secret = "whsec_MTIz"
"""


def notice(model: str, severity: str) -> Notification:
    return Notification.model_validate({"model": model, "severity": severity, "title": "t"})


@pytest.mark.parametrize(
    ("model", "severity", "hearers"),
    [
        ("digits", "info", ["mailto"]),
        ("digits", "error", ["mailto", "on-call"]),
        ("fraud-cards", "warning", ["mailto", "fraud-team"]),
        ("fraud-cards", "error", ["mailto", "on-call", "fraud-team"]),
        ("unknown", "warning", ["mailto", "fraud-team"]),
    ],
)
def test_a_channel_hears_what_is_loud_enough_and_about_its_models(
    model: str, severity: str, hearers: list[str]
) -> None:
    channels = channels_of({"SERIN_NOTIFY_URLS": "mailto://a:b@example.org", "SERIN_NOTIFY_CHANNELS": ROUTED})
    heard = [channel.named or channel.scheme for channel in channels if channel.hears(notice(model, severity))]
    assert heard == hearers


WRONG = {
    "this is = = not TOML SECRET": "not TOML",
    '[[channel]]\nname = "Ops"\naddress = "SECRET"': "channel.0.name",
    '[[channel]]\nname = "ops"': "channel.0.address",
    '[[channel]]\nname = "ops"\naddress = "SECRET"\nseverity = "loud"': "channel.0.severity",
    '[[channel]]\nname = "ops"\naddress = "SECRET"\ncolour = "red"': "channel.0.colour",
    '[[channel]]\nname = "ops"\naddress = "slack://SECRET"\nsecret = "SECRET"': "ops: a secret signs",
    '[[channel]]\nname = "ops"\naddress = "SECRET"\n[[channel]]\nname = "ops"\naddress = "SECRET2"': "two channels",
}


@pytest.mark.parametrize(("text", "reason"), WRONG.items(), ids=WRONG.values())
def test_wrong_channels_are_refused_and_no_address_is_said(text: str, reason: str) -> None:
    needed = dict.fromkeys(("SERIN_DATA_BUCKET", "SERIN_STATE_BUCKET", "SERIN_ARTEFACTS_BUCKET"), "x")
    with pytest.raises(BadInput, match=reason) as refused:
        read_environment({**needed, "GOOGLE_CLOUD_PROJECT": "p", "SERIN_NOTIFY_CHANNELS": text})
    assert "SECRET" not in str(refused.value)


def test_neither_address_nor_secret_stands_in_what_a_channel_prints() -> None:
    (channel,) = (each for each in channels_of({"SERIN_NOTIFY_CHANNELS": ROUTED}) if each.named == "fraud-team")
    assert "example.org" not in repr(channel)
    assert "MTIz" not in repr(channel)


def test_the_same_address_twice_is_one_channel() -> None:
    assert channels_of({"SERIN_NOTIFY_URLS": "json://a json://a"}) == (Channel("json://a"),)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("mailto://ada:pw@example.org", "mailto://ada:other@example.org"),
        ("mailto://ada:p@w:1@example.org/?to=x@y.org", "mailto://ada:q@example.org/?to=x@y.org"),
        ("mailto://example.org?user=ada&Pass=pw&to=x", "mailto://example.org?user=ada&Pass=other&to=x"),
    ],
)
def test_nobody_can_guess_a_password_from_a_channels_name(address: str, other: str) -> None:
    assert Channel(address).name == Channel(other).name


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("mailto://ada:pw@example.org", "mailto://bob:pw@example.org"),
        ("mailto://ada:pw@example.org", "mailto://ada:pw@example.com"),
        ("mailto://ada:pw@example.org/?to=x@y.org", "mailto://ada:pw@example.org/?to=z@y.org"),
        ("tgram://123:token/1", "tgram://123:nekot/1"),
        ("json://[::1]:80/a", "json://[::1]:80/b"),
    ],
)
def test_channels_to_different_places_have_different_names(address: str, other: str) -> None:
    assert Channel(address).name != Channel(other).name


def test_a_channel_without_a_password_is_called_as_ever() -> None:
    assert Channel("slack://a/b/c").name == "slack-d45e28a4bea9a6af4cc4"
