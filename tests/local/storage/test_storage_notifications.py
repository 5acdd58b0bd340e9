"""Notifications: what Pub/Sub receives through its own API, from a fake that can be away, refuse and come back."""

import json
import queue
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.pubsub_v1.types import PublishRequest, PublishResponse

from local.storage import Server, running

DEADLINE_SECONDS = 20
TOPIC = "projects/serin-local/topics/data-uploaded"
COMMON = {"bucketId": "data", "objectId": "x", "payloadFormat": "JSON_API_V1"}


@dataclass(frozen=True)
class Received:
    topic: str
    attributes: dict[str, str]
    data: bytes


class FakePubSub:
    """Takes what is published to known topics, after as many refusals as it was told."""

    def __init__(self, port: int = 0, refusals: int = 0, unknown_topics: frozenset[str] = frozenset()) -> None:
        self.received: queue.Queue[Received] = queue.Queue()
        self._refusals = refusals
        self._unknown_topics = unknown_topics
        handler = grpc.unary_unary_rpc_method_handler(
            self._publish, PublishRequest.deserialize, PublishResponse.serialize
        )
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        service = grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", {"Publish": handler})
        self._server.add_generic_rpc_handlers((service,))
        self.port: int = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def _publish(self, request: Any, context: Any) -> Any:
        if request.topic in self._unknown_topics:
            context.abort(grpc.StatusCode.NOT_FOUND, "Resource not found")
        if self._refusals:
            self._refusals -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        for message in request.messages:
            self.received.put(Received(request.topic, dict(message.attributes), message.data))
        return PublishResponse(message_ids=["1"] * len(request.messages))

    def next(self) -> Received:
        return self.received.get(timeout=DEADLINE_SECONDS)

    def next_about(self, name: str) -> Received:
        """The next message about an object; others, which may have been on their way twice, are passed over."""
        while (received := self.next()).attributes["objectId"] != name:
            pass
        return received

    def stop(self) -> None:
        self._server.stop(None).wait(DEADLINE_SECONDS)


@pytest.fixture
def pubsub() -> Iterator[FakePubSub]:
    pubsub = FakePubSub()
    yield pubsub
    pubsub.stop()


@pytest.fixture
def notifying(folder: Path, pubsub: FakePubSub) -> Iterator[Server]:
    with running(folder, pubsub=pubsub.address) as server:
        yield server


@pytest.fixture
def data(notifying: Server, connect: Callable[[str], Any]) -> Any:
    return connect(notifying.url).create_bucket("data")


def notify(bucket: Any, topic: str = TOPIC, **settings: Any) -> Any:
    project, name = topic.split("/")[1::2]
    settings = {"payload_format": "JSON_API_V1"} | settings
    notification = bucket.notification(topic_name=name, topic_project=project, **settings)
    notification.create()
    return notification


def without_time(attributes: dict[str, str]) -> dict[str, str]:
    assert attributes["eventTime"].endswith("Z")
    return {name: value for name, value in attributes.items() if name != "eventTime"}


def test_an_upload_is_announced_with_googles_attributes_and_the_object_resource(data: Any, pubsub: FakePubSub) -> None:
    notification = notify(data, custom_attributes={"team": "serin"})
    blob = data.blob("x")
    blob.metadata = {"rows": "20"}
    blob.upload_from_string(b"hello")

    received = pubsub.next()

    assert received.topic == TOPIC
    assert without_time(received.attributes) == COMMON | {
        "eventType": "OBJECT_FINALIZE",
        "objectGeneration": str(blob.generation),
        "notificationConfig": f"projects/_/buckets/data/notificationConfigs/{notification.notification_id}",
        "team": "serin",
    }
    resource = json.loads(received.data)
    assert (resource["generation"], resource["size"], resource["crc32c"]) == (str(blob.generation), "5", blob.crc32c)
    assert resource["metadata"] == {"rows": "20"}
    assert resource["mediaLink"].startswith(data.client._connection.API_BASE_URL)


def test_an_overwrite_announces_both_generations(data: Any, pubsub: FakePubSub) -> None:
    notify(data)
    blob = data.blob("x")
    blob.upload_from_string(b"1")
    first = str(blob.generation)
    blob.upload_from_string(b"2")
    second = str(blob.generation)

    received = [pubsub.next().attributes for _ in range(3)]

    told = {(one["eventType"], one["objectGeneration"]): one for one in received}
    assert "overwroteGeneration" not in told["OBJECT_FINALIZE", first]
    assert told["OBJECT_FINALIZE", second]["overwroteGeneration"] == first
    assert told["OBJECT_DELETE", first]["overwrittenByGeneration"] == second


def test_every_kind_of_change_of_a_versioned_object_is_announced(data: Any, pubsub: FakePubSub) -> None:
    data.versioning_enabled = True
    data.patch()
    notify(data)
    blob = data.blob("x")
    blob.upload_from_string(b"1")
    first = blob.generation
    blob.metadata = {"a": "1"}
    blob.patch()
    data.blob("x").upload_from_string(b"2")
    data.blob("x").delete()
    data.blob("x", generation=first).delete()

    types = [pubsub.next().attributes["eventType"] for _ in range(6)]

    assert sorted(types[2:4]) == ["OBJECT_ARCHIVE", "OBJECT_FINALIZE"]
    assert types[:2] + types[4:] == ["OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_ARCHIVE", "OBJECT_DELETE"]


def test_copies_and_resumable_uploads_are_announced_too(data: Any, pubsub: FakePubSub) -> None:
    source = data.blob("x", chunk_size=256 * 1024)
    notify(data)
    with source.open("wb") as file:
        file.write(b"1")
    data.copy_blob(data.blob("x"), data, "y")
    data.blob("z").rewrite(data.blob("x"))

    received = [pubsub.next().attributes for _ in range(3)]

    assert [(one["objectId"], one["eventType"]) for one in received] == [(name, "OBJECT_FINALIZE") for name in "xyz"]


def test_only_what_was_asked_for_is_announced(data: Any, pubsub: FakePubSub) -> None:
    notify(data, blob_name_prefix="raw/", event_types=["OBJECT_DELETE"])
    for name in ("raw/1", "other"):
        data.blob(name).upload_from_string(b"x")
        data.blob(name).delete()
    notify(data, "projects/serin-local/topics/last")
    data.blob("last").upload_from_string(b"x")

    received = [pubsub.next() for _ in range(2)]

    told = {(one.topic, one.attributes["objectId"], one.attributes["eventType"]) for one in received}
    assert told == {
        (TOPIC, "raw/1", "OBJECT_DELETE"),
        ("projects/serin-local/topics/last", "last", "OBJECT_FINALIZE"),
    }


def test_two_configurations_announce_twice_and_a_payload_may_be_left_out(data: Any, pubsub: FakePubSub) -> None:
    first, second = notify(data), notify(data, payload_format="NONE")
    data.blob("x").upload_from_string(b"x")

    received = [pubsub.next() for _ in range(2)]

    configs = [one.attributes["notificationConfig"].rsplit("/", 1)[1] for one in received]
    assert sorted(configs) == [first.notification_id, second.notification_id]
    assert [one.data == b"" for one in received] == [config == second.notification_id for config in configs]


def test_a_refused_upload_is_not_announced(
    data: Any, pubsub: FakePubSub, notifying: Server, anywhere: httpx.Client
) -> None:
    notify(data)
    anywhere.post(
        f"{notifying.url}/upload/storage/v1/b/data/o?uploadType=media&name=wrong",
        content=b"x",
        headers={"X-Goog-Hash": "crc32c=AAAAAA=="},
    )
    data.blob("right").upload_from_string(b"x")

    assert pubsub.next().attributes["objectId"] == "right"


def test_a_topic_that_does_not_exist_holds_up_no_other(folder: Path, connect: Callable[[str], Any]) -> None:
    pubsub = FakePubSub(unknown_topics=frozenset({"projects/serin-local/topics/missing"}))
    with running(folder, pubsub=pubsub.address) as server:
        bucket = connect(server.url).create_bucket("data")
        notify(bucket, "projects/serin-local/topics/missing")
        notify(bucket)
        bucket.blob("x").upload_from_string(b"x")

        assert pubsub.next().topic == TOPIC
    pubsub.stop()


def test_a_refused_publish_is_repeated_until_it_is_taken(folder: Path, connect: Callable[[str], Any]) -> None:
    pubsub = FakePubSub(refusals=3)
    with running(folder, pubsub=pubsub.address) as server:
        bucket = connect(server.url).create_bucket("data")
        notify(bucket)
        bucket.blob("x").upload_from_string(b"x")

        assert pubsub.next().attributes["objectId"] == "x"
    pubsub.stop()


def test_uploads_do_not_wait_for_pubsub_and_are_announced_once_it_is_back(
    folder: Path, connect: Callable[[str], Any]
) -> None:
    pubsub = FakePubSub()
    port = pubsub.port
    with running(folder, pubsub=pubsub.address) as server:
        bucket = connect(server.url).create_bucket("data")
        notify(bucket)
        bucket.blob("before").upload_from_string(b"x")
        assert pubsub.next().attributes["objectId"] == "before"
        pubsub.stop()

        bucket.blob("meanwhile").upload_from_string(b"x")
        back = FakePubSub(port)

        assert back.next_about("meanwhile").topic == TOPIC
    back.stop()


def test_what_was_not_announced_before_a_stop_is_announced_after_the_start(
    folder: Path, connect: Callable[[str], Any], pubsub: FakePubSub
) -> None:
    with running(folder) as server:
        bucket = connect(server.url).create_bucket("data")
        notify(bucket)
        bucket.blob("x").upload_from_string(b"x")

    with running(folder, pubsub=pubsub.address):
        assert pubsub.next().attributes["objectId"] == "x"


def test_configurations_are_listed_read_and_deleted(data: Any) -> None:
    settings: dict[str, Any] = {
        "event_types": ["OBJECT_FINALIZE"],
        "blob_name_prefix": "raw/",
        "custom_attributes": {"a": "1"},
    }
    created = notify(data, **settings)
    before = data.metageneration

    [listed] = data.list_notifications()
    found = data.get_notification(created.notification_id)
    assert (listed.notification_id, listed.topic_name) == (created.notification_id, "data-uploaded")
    assert (found.event_types, found.blob_name_prefix, found.custom_attributes) == tuple(settings.values())
    assert found.payload_format == "JSON_API_V1"

    found.delete()
    data.reload()
    assert (list(data.list_notifications()), data.metageneration) == ([], before + 2)
    with pytest.raises(NotFound):
        data.get_notification(created.notification_id)
    assert notify(data).notification_id != created.notification_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "data-uploaded"},
        {"topic": 7},
        {"payload_format": "XML"},
        {"payload_format": None},
        {"event_types": ["OBJECT_SEEN"]},
        {"event_types": "OBJECT_FINALIZE"},
        {"event_types": [{}]},
        {"custom_attributes": {"a": 1}},
        {"object_name_prefix": 7},
    ],
)
def test_a_configuration_google_refuses_is_refused(http: httpx.Client, bucket: Any, wrong: dict[str, Any]) -> None:
    right = {"topic": f"//pubsub.googleapis.com/{TOPIC}", "payload_format": "NONE"}
    url = f"/storage/v1/b/{bucket.name}/notificationConfigs"

    assert http.post(url, json=right).status_code == 200
    assert http.post(url, json=right | wrong).status_code == 400


def test_a_bucket_takes_ten_configurations_per_kind_of_event(bucket: Any) -> None:
    for _ in range(10):
        notify(bucket, event_types=["OBJECT_FINALIZE"])
    notify(bucket, event_types=["OBJECT_DELETE"])

    with pytest.raises(BadRequest):
        notify(bucket)
