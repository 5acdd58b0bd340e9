"""Wired once or twice, everything stands as Google's clients read it, on our services and on Google's."""

from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google_storage

from local import storage
from local.pubsub.server import running as running_pubsub
from local.wiring import Retry, Target, wire_pubsub, wire_storage
from shared.foreign import DEAD_LETTERS
from shared.wiring import SUBSCRIPTIONS, TOPICS
from tests.local.pubsub.clients import Clients
from tests.local.pubsub.emulator import emulator_jar, running_emulator

RETRY = Retry(0.2, 10.0)
BUCKETS = ("serin-data", ("serin-state", "serin-artefacts"))


def check_wiring(host: str, account: str = "") -> None:
    """Wired twice, the second time with functions at another address."""
    wire_pubsub(host, "p", Target("http://127.0.0.1:1"), RETRY)
    wire_pubsub(host, "p", Target("http://127.0.0.1:2", account), RETRY)
    clients = Clients(host)
    topics = {topic.name for topic in clients.publisher.list_topics(project="projects/p")}
    found = {each.name: each for each in clients.subscriber.list_subscriptions(project="projects/p")}
    clients.close()
    assert topics == {f"projects/p/topics/{topic}" for topic in TOPICS}
    assert found.keys() == {f"projects/p/subscriptions/{each.name}" for each in SUBSCRIPTIONS}
    for wanted in SUBSCRIPTIONS:
        made = found[f"projects/p/subscriptions/{wanted.name}"]
        topic = f"projects/p/topics/{wanted.topic}"
        assert (made.topic, made.filter, made.ack_deadline_seconds) == (topic, wanted.filter, 600)
        assert made.push_config.push_endpoint == f"http://127.0.0.1:2/{wanted.function}/{topic}"
        audience = f"http://127.0.0.1:2/{wanted.function}" if account else ""
        assert (made.push_config.oidc_token.service_account_email, made.push_config.oidc_token.audience) == (
            account, audience,
        )  # fmt: skip
        assert made.retry_policy.minimum_backoff.total_seconds() == 0.2
        letters = "" if wanted.topic == DEAD_LETTERS else f"projects/p/topics/{DEAD_LETTERS}"
        assert made.dead_letter_policy.dead_letter_topic == letters


def test_topics_and_subscriptions_are_those_of_the_wiring(tmp_path: Path) -> None:
    with running_pubsub(tmp_path) as server:
        check_wiring(server.host, "push@p.iam.gserviceaccount.com")


@pytest.mark.skipif(emulator_jar() is None, reason="Google's Pub/Sub emulator is not installed, or no Java")
def test_googles_emulator_is_wired_the_same_way(tmp_path: Path) -> None:
    with running_emulator(tmp_path) as emulator:
        check_wiring(emulator.host)


@pytest.mark.parametrize("notifies", [True, False])
def test_buckets_and_one_notification_where_the_store_sends_any(tmp_path: Path, notifies: bool) -> None:
    with storage.running(tmp_path) as server:
        for _ in range(2):
            wire_storage(server.url, "serin-local", *BUCKETS, notifies)
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
        client = google_storage.Client(
            project="serin-local", credentials=nobody, client_options={"api_endpoint": server.url}
        )
        versioned = {bucket.name: bucket.versioning_enabled for bucket in client.list_buckets()}
        sent = [each.topic_name for each in client.bucket("serin-data").list_notifications()]
        client.close()
    assert versioned == {"serin-data": True, "serin-state": False, "serin-artefacts": False}
    assert sent == (["data-uploaded"] if notifies else [])


def test_a_service_that_refuses_says_why(tmp_path: Path) -> None:
    with storage.running(tmp_path) as server, pytest.raises(RuntimeError, match=r"PUT /v1/.* was answered with 501"):
        wire_pubsub(server.url.removeprefix("http://"), "p", Target("http://127.0.0.1:1"), RETRY)
