"""A dead letter is kept once with what is known of it, and people are told, but never in a circle."""

import base64
import hashlib
import json
from typing import Any

import pytest
from dead_letter_record import MAX_DATA_BYTES, function_of, identity

from shared.envelope import Message
from shared.errors import Transient
from shared.events import Notification
from shared.foreign import DEAD_LETTERS, DeadLetter
from shared.ledger import Outcome
from tests.functions.standing_run import foreign, keys, ledger, published, topics
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, deliver

EVENT = "runs/digits/000002/decision#0"
SOURCE = "CloudPubSubDeadLetterSource"
PUBLISHED = f"{SOURCE}TopicPublishTime"


def letter(**changes: str | None) -> Message:
    """The kept dead letter, attributes changed where asked; None leaves one out."""
    kept = foreign(DEAD_LETTERS)
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    attributes = {**kept.attributes, **named}
    return Message({name: value for name, value in attributes.items() if value is not None}, kept.data)


def storage_notification(name: str = "data/digits/a.csv") -> Message:
    attributes = {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": "data",
        "objectId": name,
        "objectGeneration": "1",
        f"{SOURCE}Subscription": "check_rows.data-uploaded",
        f"{SOURCE}DeliveryCount": "20",
    }
    return Message(attributes, b"{}")


def keep(cloud: MemoryCloud, message: Message) -> int:
    return deliver(cloud, "record_dead_letter", DEAD_LETTERS, message)


def kept(cloud: MemoryCloud) -> list[Any]:
    return [data_of(cloud, key) for key in keys(cloud, "dead-letters/")]


def bug(cloud: MemoryCloud, function: str, event: str, trace: str) -> None:
    about = hashlib.sha256(event.encode()).hexdigest()[:20]
    ledger(cloud).record(f"bugs/{function}/{about}/{trace}", Outcome({"exception": "KeyError"}))


def test_a_dead_letter_is_kept_whole_and_told() -> None:
    cloud = MemoryCloud()
    assert keep(cloud, letter()) == 200
    (record,) = kept(cloud)
    assert (record["function"], record["attempts"], record["traceback"]) == ("stage_model", 20, None)
    assert record["attributes"]["ce-id"] == EVENT
    assert not [name for name in record["attributes"] if name.startswith(SOURCE)]
    assert json.loads(base64.b64decode(record["data"]))["run"] == "digits-000002"
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert (notice.severity, notice.model, notice.run) == ("error", "digits", "digits-000002")
    assert notice.title == "stage_model gave up an event after 20 attempts"
    assert notice.why[0] == f"event {EVENT}"


def test_the_newest_traceback_of_that_function_and_event_is_named() -> None:
    cloud = MemoryCloud()
    bug(cloud, "stage_model", EVENT, "f00000000001")
    cloud.pass_time(1)
    bug(cloud, "stage_model", EVENT, "a00000000002")
    cloud.pass_time(1)
    bug(cloud, "stage_model", "another event", "b00000000003")
    bug(cloud, "smoke_test", EVENT, "c00000000004")
    keep(cloud, letter())
    assert kept(cloud)[0]["traceback"].endswith("/a00000000002")
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert "traceback a00000000002" in notice.why


def test_the_same_event_given_up_twice_is_one_record_and_one_event() -> None:
    cloud = MemoryCloud()
    keep(cloud, letter())
    first = cloud.bus.take()
    assert keep(cloud, letter(**{f"{SOURCE}DeliveryCount": "21"})) == 200
    assert cloud.bus.take() == first
    assert len(kept(cloud)) == 1


def test_the_same_event_given_up_by_two_functions_is_two_records() -> None:
    cloud = MemoryCloud()
    keep(cloud, letter())
    keep(cloud, letter(**{f"{SOURCE}Subscription": "monitor_canary.traffic-shifted"}))
    assert {record["function"] for record in kept(cloud)} == {"stage_model", "monitor_canary"}


def test_of_two_that_keep_it_at_once_one_counts() -> None:
    cloud = MemoryCloud()
    cloud.door.meanwhile["storage.create"] = lambda: _assert_ok(keep(cloud, letter()))
    assert keep(cloud, letter()) == 200
    said = cloud.bus.take()
    assert len(said) == 2
    assert said[0] == said[1]


def test_after_a_lost_reply_the_redelivery_tells_people() -> None:
    cloud = MemoryCloud()
    cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
    assert keep(cloud, letter()) == 500
    assert published(cloud) == []
    assert keep(cloud, letter()) == 200
    assert topics(cloud) == ["notifications"]


def test_a_message_that_is_not_ours_is_kept_by_its_object() -> None:
    cloud = MemoryCloud()
    keep(cloud, storage_notification())
    keep(cloud, storage_notification())
    keep(cloud, storage_notification("data/digits/b.csv"))
    assert [record["function"] for record in kept(cloud)] == ["check_rows", "check_rows"]
    notice = published(cloud)[0]
    assert isinstance(notice, Notification)
    assert (notice.model, notice.run) == ("unknown", None)
    assert notice.why[:2] == ("event data/digits/a.csv", "kind not an event of ours")


@pytest.mark.parametrize(("model", "named"), [("digits", "digits"), ("NOT A NAME", "unknown"), (None, "unknown")])
def test_a_letter_with_half_its_attributes_is_kept_all_the_same(model: str | None, named: str) -> None:
    cloud = MemoryCloud()
    assert keep(cloud, letter(ce_run=None, ce_model=model, ce_id=None, ce_type=None)) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert (notice.model, notice.run, len(kept(cloud))) == (named, None, 1)


def test_a_lost_notice_is_told_but_a_lost_notice_about_it_is_not() -> None:
    cloud = MemoryCloud()
    lost = {f"{SOURCE}Subscription": "notify.notifications"}
    keep(cloud, letter(**lost))
    assert len(published(cloud)) == 1
    keep(cloud, letter(ce_source="//serin/record_dead_letter", ce_id="dead-letters/x#0", **lost))
    assert published(cloud) == []
    assert len(kept(cloud)) == 2


def test_data_beyond_the_limit_are_cut_and_their_length_is_told() -> None:
    cloud = MemoryCloud()
    keep(cloud, Message(letter().attributes, b"x" * (MAX_DATA_BYTES + 1)))
    (record,) = kept(cloud)
    assert (len(base64.b64decode(record["data"])), record["data_bytes"]) == (MAX_DATA_BYTES, MAX_DATA_BYTES + 1)


@pytest.mark.parametrize(
    "subscription", ["stage_model.deployment-approved", "projects/p/subscriptions/stage_model.deployment-approved"]
)
def test_the_function_is_read_off_its_subscriptions_name(subscription: str) -> None:
    assert function_of(subscription) == "stage_model"


def test_letters_without_any_identity_are_told_apart_by_what_they_hold() -> None:
    one, same, other = (
        DeadLetter("reconcile.clock-ticked", 5, {"k": value}, data)
        for value, data in (("v", b"1"), ("v", b"1"), ("v", b"2"))
    )
    assert identity(one) == identity(same) != identity(other)


def _assert_ok(status: int) -> None:
    assert status == 200


@pytest.mark.parametrize("ending", ["replayed", "discarded"])
def test_what_is_given_up_again_after_it_ended_is_told_again(ending: str) -> None:
    cloud = MemoryCloud()
    for _ in range(2):
        keep(cloud, letter())
    (first,) = keys(cloud, "dead-letters/")
    assert topics(cloud) == ["notifications"] * 2
    ledger(cloud).record(f"{first}-{ending}", Outcome({"by": "ada"}))
    keep(cloud, letter(**{PUBLISHED: "2026-01-02T00:00:00.000+00:00"}))
    assert keys(cloud, "dead-letters/") == [first, f"{first}-{ending}", first.replace("000000", "000001")]
    assert topics(cloud) == ["notifications"]


def test_a_letter_whose_publishing_is_not_told_is_told_again_after_it_ended() -> None:
    cloud = MemoryCloud()
    keep(cloud, letter(**{PUBLISHED: None}))
    (first,) = keys(cloud, "dead-letters/")
    ledger(cloud).record(f"{first}-replayed", Outcome({"by": "ada"}))
    keep(cloud, letter(**{PUBLISHED: None}))
    assert first.replace("000000", "000001") in keys(cloud, "dead-letters/")


@pytest.mark.parametrize("ending", ["replayed", "discarded"])
def test_a_second_copy_that_comes_after_the_end_is_no_new_letter(ending: str) -> None:
    """The same publishing, dead-lettered twice: what a replay publishes has a later time."""
    cloud = MemoryCloud()
    keep(cloud, letter())
    (first,) = keys(cloud, "dead-letters/")
    said = cloud.bus.take()
    ledger(cloud).record(f"{first}-{ending}", Outcome({"by": "ada"}))
    assert keep(cloud, letter()) == 200
    assert keys(cloud, "dead-letters/") == [first, f"{first}-{ending}"]
    assert cloud.bus.take() == said


def test_a_letter_that_two_people_ended_at_once_has_ended_once() -> None:
    cloud = MemoryCloud()
    keep(cloud, letter())
    (first,) = keys(cloud, "dead-letters/")
    for ending in ("replayed", "discarded"):
        ledger(cloud).record(f"{first}-{ending}", Outcome({"by": "ada"}))
    keep(cloud, letter(**{PUBLISHED: "2026-01-02T00:00:00.000+00:00"}))
    assert first.replace("000000", "000001") in keys(cloud, "dead-letters/")


def tick(moment: str) -> Message:
    attributes = {f"{SOURCE}Subscription": "reconcile.clock-ticked", f"{SOURCE}DeliveryCount": "20"}
    return Message({**attributes, PUBLISHED: moment}, b"{}")


def test_given_up_ticks_are_told_once_a_day() -> None:
    cloud = MemoryCloud()
    for moment in ("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-02T00:00:00Z"):
        keep(cloud, tick(moment))
    said = {message.attributes["ce-id"] for _, message in cloud.bus.take()}
    assert (len(kept(cloud)), len(said)) == (2, 2)


@pytest.mark.parametrize("count", ["", "often", "9" * 5000])
def test_a_letter_that_does_not_say_how_often_it_was_tried_is_kept(count: str) -> None:
    cloud = MemoryCloud()
    assert keep(cloud, letter(**{f"{SOURCE}DeliveryCount": count})) == 200
    assert kept(cloud)[0]["attempts"] == 0


def test_the_traceback_of_a_storage_notification_is_found_too() -> None:
    cloud = MemoryCloud()
    bug(cloud, "check_rows", "data/data/digits/a.csv#1", "f00000000001")
    keep(cloud, storage_notification())
    assert kept(cloud)[0]["traceback"].endswith("/f00000000001")
