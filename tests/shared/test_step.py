"""What stands between a delivery and a function's thought: each kind of failure answered as its kind is."""

import base64
import json
from typing import Any

import pytest

from shared.envelope import Envelope
from shared.environment import using
from shared.errors import BadInput, NotYet, Transient
from shared.events import ModelPromoted, Notification
from shared.ids import ModelName, RunId
from shared.ledger import Outcome
from shared.step import Events, Step, handle, handle_tick
from shared.trace import started
from tests.world.cloud import MemoryCloud

MODEL, RUN = ModelName("digits"), RunId("digits-000001")
PROMOTED = ModelPromoted(model=MODEL, run=RUN, rollout=1, version="v", by="x")


class Delivery:
    """A CloudEvent as functions-framework hands it over."""

    def __init__(self, attributes: dict[str, str], body: bytes) -> None:
        message = {"attributes": attributes, "data": base64.b64encode(body).decode(), "messageId": "7"}
        self._data = {"message": message, "subscription": "s"}

    def get_attributes(self) -> dict[str, str]:
        return {"type": "google.cloud.pubsub.topic.v1.messagePublished"}

    def get_data(self) -> dict[str, Any]:
        return self._data


def delivery(**attributes: str) -> Delivery:
    envelope = Envelope("event-1", "//test", MemoryCloud().now(), PROMOTED, traceparent=started("event-1"))
    return Delivery({**envelope.attributes(), **attributes}, envelope.data())


def recording(event: ModelPromoted, step: Step) -> Events:
    notice = Notification(model=event.model, title="told")
    return step.ledger.once("runs/digits/000001/end", lambda: Outcome({}, (notice,))).events


def run(cloud: MemoryCloud, thought: Any, message: Delivery | None = None) -> None:
    with using(cloud):
        handle(message or delivery(), "tester", {ModelPromoted: thought})


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def ids(cloud: MemoryCloud) -> list[str]:
    return [event.id for event in cloud.bus.events()]


def test_what_was_recorded_is_published_with_its_cause_in_its_trace(cloud: MemoryCloud) -> None:
    run(cloud, recording)
    (told,) = cloud.bus.events()
    assert (told.id, told.cause, told.source) == ("runs/digits/000001/end#0", "event-1", "//serin/tester")
    assert (told.traceparent or "").split("-")[1] == started("event-1").split("-")[1]
    assert told.traceparent != started("event-1")


def test_a_duplicate_publishes_the_same_event_again(cloud: MemoryCloud) -> None:
    for _ in range(3):
        run(cloud, recording)
    assert ids(cloud) == ["runs/digits/000001/end#0"] * 3
    assert cloud.state.keys() == ["runs/digits/000001/end"]


def test_after_a_crash_between_record_and_publish_the_redelivery_publishes(cloud: MemoryCloud) -> None:
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "timeout")
    with pytest.raises(Transient):
        run(cloud, recording)
    assert cloud.state.keys() == ["runs/digits/000001/end"]
    run(cloud, recording)
    assert ids(cloud) == ["runs/digits/000001/end#0"]


def test_nothing_is_published_before_it_is_recorded(cloud: MemoryCloud) -> None:
    cloud.door.before["storage.create"] = Transient("storage.create", "timeout")
    with pytest.raises(Transient):
        run(cloud, recording)
    assert ids(cloud) == []


def test_bad_input_is_recorded_told_and_acknowledged(cloud: MemoryCloud) -> None:
    def refusing(_event: ModelPromoted, _step: Step) -> Events:
        raise BadInput("promotion", ["no such rollout", "no such version"])

    for _ in range(2):
        run(cloud, refusing)
    (kept,) = cloud.state.keys()
    assert kept.startswith("refused/tester/")
    notice = cloud.bus.events()[0].payload
    assert isinstance(notice, Notification)
    assert notice.why == ("no such rollout", "no such version")
    assert len(set(ids(cloud))) == 1


def test_a_malformed_event_is_refused_with_every_reason(cloud: MemoryCloud) -> None:
    broken = Delivery({"ce-type": "dev.serin.model.promoted.v1"}, b'{"model": "digits", "rollout": 0}')
    run(cloud, recording, broken)
    (notice,) = [event.payload for event in cloud.bus.events()]
    assert isinstance(notice, Notification)
    told = " ".join(notice.why)
    for missing in ("ce-id", "ce-source", "ce-time", "run", "rollout", "version", "by"):
        assert missing in told


def test_an_event_of_another_type_is_refused(cloud: MemoryCloud) -> None:
    with using(cloud):
        handle(delivery(), "tester", {})
    assert len(cloud.bus.events()) == 1


@pytest.mark.parametrize("later", [NotYet("its job"), Transient("storage.read", "status 503")])
def test_not_yet_and_transient_are_delivered_again_and_leave_nothing(cloud: MemoryCloud, later: Exception) -> None:
    def waiting(_event: ModelPromoted, _step: Step) -> Events:
        raise later

    with pytest.raises(type(later)):
        run(cloud, waiting)
    assert (cloud.state.keys(), ids(cloud)) == ([], [])


def test_a_bug_is_noted_by_where_it_happened_and_never_by_what_it_said(
    cloud: MemoryCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_event: ModelPromoted, _step: Step) -> Events:
        raise ValueError("secret cell of a customer")

    for _ in range(2):
        with pytest.raises(ValueError, match="secret"):
            run(cloud, broken)
    (kept,) = cloud.state.keys()
    assert kept.startswith("bugs/tester/")
    note = cloud.state.read(kept) or b""
    assert json.loads(note)["data"]["exception"] == "ValueError"
    assert b"test_step.py" in note
    assert "secret" not in note.decode() + capsys.readouterr().out


def test_a_tick_has_a_cause_of_its_own(cloud: MemoryCloud) -> None:
    seen: list[str | None] = []

    def look(_tick: object, step: Step) -> Events:
        seen.append(step.cause)
        return ()

    with using(cloud):
        handle_tick(Delivery({}, b"{}"), "tester", look)
    assert seen == ["clock-ticked#7"]
