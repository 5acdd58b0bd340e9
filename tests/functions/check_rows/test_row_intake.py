"""A dropped file by itself: its verdict, its marker, its notice, whatever is delivered twice or lost."""

import pytest

from shared.envelope import Message
from shared.errors import Transient
from shared.events import Notification
from shared.ids import upload_id
from tests.functions.standing_run import foreign, keys, published
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement, data_of, deliver

NAME = "data/digits/a.csv"
ROWS = b"p0,digit\n1,3\n2,4\n"


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    made.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n')
    return made


def announced(cloud: MemoryCloud, body: bytes, name: str = NAME) -> Message:
    """The kept notification, about this object."""
    entry = cloud.data.put(name, body)
    kept = foreign("data-uploaded")
    changes = {"objectId": name, "objectGeneration": str(entry.generation)}
    return Message({**kept.attributes, **changes}, kept.data)


def check(cloud: MemoryCloud, message: Message) -> int:
    return deliver(cloud, "check_rows", "data-uploaded", message)


def verdict(cloud: MemoryCloud, name: str = NAME) -> str:
    entry = cloud.data.stat(name)
    assert entry is not None
    return str(data_of(cloud, f"uploads/digits/{upload_id('data', name, entry.generation)}")["verdict"])


def test_good_rows_are_accepted_and_wait(cloud: MemoryCloud) -> None:
    assert check(cloud, announced(cloud, ROWS)) == 200
    assert verdict(cloud) == "accepted"
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.title == "digits: 2 of 100 rows wait"
    assert len(keys(cloud, "pending/digits/000001/")) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("effect", ["storage.create", "storage.read", "storage.list", "pubsub.publish"])
def test_whatever_fails_once_the_rows_count_once(cloud: MemoryCloud, effect: str, when: str) -> None:
    message = announced(cloud, ROWS)
    getattr(cloud.door, when)[effect] = Transient(effect, "timeout")
    assert [check(cloud, message), check(cloud, message)] == [500, 200]
    assert verdict(cloud) == "accepted"
    assert len(keys(cloud, "pending/")) == 1
    assert len({each.id for each in cloud.bus.events()}) == 1


def test_an_upload_that_was_never_recorded_before_its_end_is_announced_again(cloud: MemoryCloud) -> None:
    """The record is written last: without it, reconcile sends the upload again."""
    check(cloud, announced(cloud, ROWS))
    made = [entry for entry in cloud.state.entries("") if entry.key.startswith(("contents", "pending", "uploads"))]
    in_order = sorted(made, key=lambda entry: entry.generation)
    assert [entry.key.split("/")[0] for entry in in_order] == ["contents", "pending", "uploads"]


@pytest.mark.parametrize("kind", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE"])
def test_what_is_no_new_object_is_none_of_its_business(cloud: MemoryCloud, kind: str) -> None:
    message = announced(cloud, ROWS)
    assert check(cloud, Message({**message.attributes, "eventType": kind}, b"{}")) == 200
    assert keys(cloud, "uploads/") == []


def test_what_is_not_below_data_is_none_of_its_business(cloud: MemoryCloud) -> None:
    entry = cloud.data.put("score/digits/a.csv", ROWS)
    assert check(cloud, Message(announcement("score/digits/a.csv", entry.generation), b"{}")) == 200
    assert keys(cloud, "uploads/") == []


def test_an_object_of_another_bucket_is_refused(cloud: MemoryCloud) -> None:
    message = announced(cloud, ROWS)
    assert check(cloud, Message({**message.attributes, "bucketId": "somebody-elses"}, b"{}")) == 200
    assert keys(cloud, "uploads/") == []
    assert len(keys(cloud, "refused/check_rows/")) == 1


def test_without_settings_the_file_is_rejected_and_the_notice_says_what_to_do() -> None:
    cloud = MemoryCloud()
    assert check(cloud, announced(cloud, ROWS)) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why == ("no-settings: the file has no settings: drop settings/digits.toml, then this file again",)
    assert keys(cloud, "contents/") == []


def test_an_overwritten_file_is_another_upload_and_both_count(cloud: MemoryCloud) -> None:
    first = announced(cloud, ROWS)
    second = announced(cloud, b"p0,digit\n5,6\n")
    assert [check(cloud, message) for message in (first, second)] == [200, 200]
    kept = [data_of(cloud, key) for key in keys(cloud, "uploads/digits/")]
    assert sorted((each["verdict"], each["rows"]) for each in kept) == [("accepted", 1), ("accepted", 2)]
