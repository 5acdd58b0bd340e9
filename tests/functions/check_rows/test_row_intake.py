"""A dropped file by itself: its verdict, its marker, its notice, whatever is delivered twice or lost."""

import gzip
from collections.abc import Mapping
from typing import Any

import pytest

from shared.envelope import Message
from shared.errors import Transient
from shared.events import Notification, TrainingRequested
from shared.ids import upload_id
from shared.remembering import RememberingStore
from shared.uploading import AGAIN
from tests.functions.standing_run import foreign, keys, published
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement, data_of, deliver

NAME = "data/digits/a.csv"
ROWS = b"p0,digit\n1,3\n2,4\n"
SETTINGS_WITH_AGE = b'[data]\ntarget = "digit"\n[threshold]\nor_after = "24h"\nor_after_rows = 3\n'


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    made.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n')
    return made


def announced(cloud: MemoryCloud, body: bytes, name: str = NAME, metadata: Mapping[str, str] | None = None) -> Message:
    """The kept notification, about this object."""
    entry = cloud.data.put(name, body, metadata)
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


def record(cloud: MemoryCloud, name: str = NAME) -> Any:
    entry = cloud.data.stat(name)
    assert entry is not None
    return data_of(cloud, f"uploads/digits/{upload_id('data', name, entry.generation)}")


def titles(cloud: MemoryCloud) -> list[str]:
    return [each.title for each in published(cloud) if isinstance(each, Notification)]


def marked_rows(cloud: MemoryCloud) -> int:
    return sum(data_of(cloud, key)["rows"] for key in keys(cloud, "pending/digits/"))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("data/digits/_SUCCESS", b""),
        ("data/digits/run/_SUCCESS", b"done"),
        ("data/digits/a.csv.tmp", ROWS),
        ("data/digits/.a.csv.crc", b"crc"),
        ("data/digits/empty.csv", b""),
        ("data/digits/folder/", b""),
        ("data/digits/folder//", b""),
    ],
)
def test_what_is_no_file_of_rows_is_skipped_and_says_so(cloud: MemoryCloud, name: str, body: bytes) -> None:
    assert check(cloud, announced(cloud, body, name)) == 200
    assert record(cloud, name)["verdict"] == "skipped"
    assert record(cloud, name)["reasons"]
    assert (published(cloud), keys(cloud, "contents/")) == ([], [])


@pytest.mark.parametrize(
    "name",
    [
        "data/digits/../../etc/passwd",
        "data/digits//a.csv",
        "data/digits/a\nb\x1b[2J.csv",
        "data/digits/\u202evsc.exe",
        "data/digits/" + "x" * 900 + ".csv",
        "data/digits/[red]a[/red].csv",
        "data/digits/=cmd|'/c calc'!A0.csv",
        "data/digits/windows/digits/000001",
    ],
)
def test_whatever_an_object_is_called_its_rows_count_and_nothing_else_is_written(cloud: MemoryCloud, name: str) -> None:
    assert check(cloud, announced(cloud, ROWS, name)) == 200
    assert record(cloud, name)["verdict"] == "accepted"
    assert {key.split("/")[0] for key in keys(cloud, "")} == {
        "settings", "schemas", "contents", "pending", "uploads",
    }  # fmt: skip
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert all(each.isprintable() for each in (notice.title, *notice.why))


@pytest.mark.parametrize("name", ["data/a.csv", "data//a.csv", "data/Digits/a.csv", "data/" + "a" * 41 + "/a.csv"])
def test_a_name_without_a_model_is_refused(cloud: MemoryCloud, name: str) -> None:
    assert check(cloud, announced(cloud, ROWS, name)) == 200
    assert (keys(cloud, "uploads/"), len(keys(cloud, "refused/check_rows/"))) == ([], 1)


def test_the_same_content_is_a_duplicate_that_is_not_even_read(cloud: MemoryCloud) -> None:
    check(cloud, announced(cloud, ROWS))
    copy = announced(cloud, ROWS, "data/digits/copy.csv")
    cloud.door.effects.clear()
    assert check(cloud, copy) == 200
    found = record(cloud, "data/digits/copy.csv")
    assert (found["verdict"], found["rows"], found["accepted"]) == ("duplicate", 2, 0)
    assert found["reasons"][0].startswith("duplicate: the same content as upload ")
    assert "storage.open" not in cloud.door.effects
    assert marked_rows(cloud) == 2


def test_the_same_content_twice_at_the_same_moment_counts_once(cloud: MemoryCloud) -> None:
    first, second = announced(cloud, ROWS), announced(cloud, ROWS, "data/digits/copy.csv")
    statuses: list[int] = []
    cloud.door.meanwhile["storage.create"] = lambda: statuses.append(check(cloud, second))
    statuses.append(check(cloud, first))
    assert statuses == [200, 200]
    assert sorted((verdict(cloud), verdict(cloud, "data/digits/copy.csv"))) == ["accepted", "duplicate"]
    assert marked_rows(cloud) == 2


def test_a_duplicate_counts_again_if_somebody_asks_for_it_and_who_asked_is_recorded(cloud: MemoryCloud) -> None:
    check(cloud, announced(cloud, ROWS))
    again = announced(cloud, ROWS, "data/digits/copy.csv", {AGAIN: "ann"})
    assert [check(cloud, again), check(cloud, again)] == [200, 200]
    found = record(cloud, "data/digits/copy.csv")
    assert (found["verdict"], found["accepted"], found["again"]) == ("accepted", 2, "ann")
    assert marked_rows(cloud) == 4
    assert "digits: 'copy.csv' counts again, as 'ann' asked" in titles(cloud)


def test_a_first_upload_that_was_to_count_again_is_known_to_later_duplicates(cloud: MemoryCloud) -> None:
    check(cloud, announced(cloud, ROWS, metadata={AGAIN: "ann"}))
    check(cloud, announced(cloud, ROWS, "data/digits/copy.csv"))
    assert (verdict(cloud), verdict(cloud, "data/digits/copy.csv")) == ("accepted", "duplicate")


def test_bad_rows_within_the_share_are_written_aside_and_the_others_count(cloud: MemoryCloud) -> None:
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\nbad_rows_share = 0.5\n')
    assert check(cloud, announced(cloud, ROWS + b"x\n5,\n")) == 200
    found = record(cloud)
    assert (found["verdict"], found["rows"], found["accepted"], found["quarantined"]) == ("accepted", 4, 2, 2)
    assert data_of(cloud, found["quarantine"])["rows"] == [
        {"row": 3, "reasons": ["wrong-width"], "cells": ["x"]},
        {"row": 4, "reasons": ["missing-target digit"], "cells": ["5", ""]},
    ]
    assert marked_rows(cloud) == 2
    assert "digits: 2 of 4 rows of 'a.csv' are left out" in titles(cloud)


def test_what_was_accepted_by_other_settings_stays_as_it_was_accepted(cloud: MemoryCloud) -> None:
    """A crash between acceptance and record: the redelivery finds the acceptance and judges no second time."""
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\nbad_rows_share = 0.5\n')
    message = announced(cloud, ROWS + b"5,\n")
    cloud.door.meanwhile["storage.create"] = lambda: fail_once_accepted(cloud)
    assert check(cloud, message) == 500
    assert (len(keys(cloud, "contents/")), keys(cloud, "uploads/")) == (1, [])
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n')
    assert check(cloud, message) == 200
    assert (record(cloud)["verdict"], record(cloud)["accepted"], record(cloud)["quarantined"]) == ("accepted", 2, 1)


def fail_once_accepted(cloud: MemoryCloud) -> None:
    if keys(cloud, "contents/"):
        raise Transient("storage.create", "timeout")
    cloud.door.meanwhile["storage.create"] = lambda: fail_once_accepted(cloud)


def test_a_file_deleted_before_it_is_read_is_rejected_for_that(cloud: MemoryCloud) -> None:
    message = announced(cloud, ROWS)
    gone = Message({**message.attributes, "objectGeneration": "4711"}, b"{}")
    assert check(cloud, gone) == 200
    assert data_of(cloud, f"uploads/digits/{upload_id('data', NAME, 4711)}")["reasons"] == [
        "gone: the file was deleted before it was read"
    ]


def test_a_file_deleted_while_it_is_read_is_rejected_for_that(cloud: MemoryCloud) -> None:
    message = announced(cloud, ROWS)
    upload = upload_id("data", NAME, int(message.attributes["objectGeneration"]))

    def after_stat_of_settings() -> None:
        cloud.door.meanwhile["storage.stat"] = after_stat_of_file

    def after_stat_of_file() -> None:
        cloud.door.meanwhile["storage.read"] = lambda: cloud.data.delete(NAME)

    cloud.door.meanwhile["storage.stat"] = after_stat_of_settings
    assert check(cloud, message) == 200
    assert data_of(cloud, f"uploads/digits/{upload}")["reasons"] == ["gone: the file was deleted before it was read"]


def test_a_file_overwritten_while_it_is_read_is_read_as_it_was(cloud: MemoryCloud) -> None:
    message = announced(cloud, ROWS)
    generation = message.attributes["objectGeneration"]
    cloud.door.meanwhile["storage.read"] = lambda: announced(cloud, b"p0,digit\n9,9\n") and None
    assert check(cloud, message) == 200
    assert data_of(cloud, f"uploads/digits/{upload_id('data', NAME, int(generation))}")["accepted"] == 2


def test_a_hostile_file_leaves_the_function_ready_for_the_next(cloud: MemoryCloud) -> None:
    hostile = announced(cloud, gzip.compress(b"p0,digit\n" + b"\xff\0" * 100)[:-4], "data/digits/x.csv.gz")
    assert [check(cloud, hostile), check(cloud, announced(cloud, ROWS))] == [200, 200]
    assert (verdict(cloud, "data/digits/x.csv.gz"), verdict(cloud)) == ("rejected", "accepted")


def test_every_problem_is_in_the_record_and_the_first_fifty_in_the_notice(cloud: MemoryCloud) -> None:
    check(cloud, announced(cloud, ROWS))
    wide = ",".join(["digit", *(f"c{each}" for each in range(60))])
    body = f"{wide}\n3{',x' * 60}\n".encode()
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\nnew_columns = "reject"\n')
    cloud.bus.take()
    check(cloud, announced(cloud, body, "data/digits/wide.csv"))
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert (len(record(cloud, "data/digits/wide.csv")["problems"]), len(notice.why)) == (61, 50)


def test_rows_that_have_waited_long_enough_train_with_the_next_that_come(cloud: MemoryCloud) -> None:
    cloud.data.put("settings/digits.toml", SETTINGS_WITH_AGE)
    check(cloud, announced(cloud, ROWS))
    cloud.pass_time(24 * 3600)
    cloud.bus.take()
    check(cloud, announced(cloud, b"p0,digit\n5,6\n", "data/digits/b.csv"))
    (asked,) = published(cloud)
    assert isinstance(asked, TrainingRequested)
    assert (asked.reason, asked.window, asked.rows) == ("age", 1, 3)


def test_a_process_that_lists_seldom_knows_its_own_rows_at_once(cloud: MemoryCloud) -> None:
    memory, effects = cloud.state, cloud.door.effects
    cloud.state = RememberingStore(memory, lambda: float(effects.count("storage.list")))  # type: ignore[assignment]
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n[threshold]\nat_least = 3\n')
    check(cloud, announced(cloud, ROWS))
    check(cloud, announced(cloud, b"p0,digit\n5,6\n", "data/digits/b.csv"))
    asked = [event for event in published(cloud) if isinstance(event, TrainingRequested)]
    assert [event.rows for event in asked] == [3]
