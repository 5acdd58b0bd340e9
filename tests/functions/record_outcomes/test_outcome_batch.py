"""Labels count for the deployment whose receipt they come with, once, and only with a receipt of ours."""

import base64

import pytest

from shared.envelope import Envelope
from shared.events import EvidenceReported, Notification, OutcomesObserved
from shared.ids import ModelName
from shared.receipts import Receipt, issue, read
from shared.settings import object_name
from tests.world.cloud import START, MemoryCloud
from tests.world.running import data_of, send

KEY = bytes(range(32))
MODEL = ModelName("digits")


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    made.state.put("keys/receipts/1", KEY.hex().encode())
    made.data.put(object_name(MODEL), b'[data]\ntarget = "y"\n')
    return made


def receipt(sequence: int, deployed: str = "2", label: str = "7", key: bytes = KEY) -> str:
    return issue("1", key, Receipt("digits", f"digits-00000{deployed}", deployed, "abcd1234", sequence, label))


def observe(cloud: MemoryCloud, batch: str, *outcomes: tuple[str, str]) -> list[Envelope]:
    event = OutcomesObserved(model=MODEL, batch=batch, outcomes=outcomes)
    assert send(cloud, "record_outcomes", Envelope(batch, "//clients", START, event)) == 200
    published = cloud.bus.events()
    cloud.bus.take()
    return published


def test_labels_count_for_the_deployment_that_predicted_them(cloud: MemoryCloud) -> None:
    said = observe(cloud, "b1", (receipt(0), "7"), (receipt(1), "1"), (receipt(0, deployed="1"), "7"))
    counts = [
        (event.payload.deployed_model, event.payload.run, event.payload.labelled, event.payload.wrong)
        for event in said
        if isinstance(event.payload, EvidenceReported)
    ]
    assert counts == [("1", "digits-000001", 1, 0), ("2", "digits-000002", 2, 1)]


def test_a_receipt_twice_in_a_batch_counts_once(cloud: MemoryCloud) -> None:
    (said,) = observe(cloud, "b1", (receipt(0), "7"), (receipt(0), "7"))
    assert isinstance(said.payload, EvidenceReported)
    assert said.payload.labelled == 1


def test_a_batch_delivered_twice_says_the_same_again(cloud: MemoryCloud) -> None:
    first = observe(cloud, "b1", (receipt(0), "7"))
    cloud.pass_time(600)
    assert [event.to_json() for event in observe(cloud, "b1", (receipt(0), "7"))] == [
        event.to_json() for event in first
    ]


def test_a_forged_receipt_counts_for_nobody_and_is_told(cloud: MemoryCloud) -> None:
    (said,) = observe(cloud, "b1", (receipt(0, key=bytes(32)), "7"), ("nonsense", "7"))
    assert isinstance(said.payload, Notification)
    assert said.payload.why == ("1 not a receipt", "1 the signature is wrong")
    assert data_of(cloud, "outcomes/digits/b1")["deployments"] == {}


def test_a_receipt_says_what_was_issued() -> None:
    issued = Receipt("digits", "digits-000002", "2", "abcd1234", 5, "7")
    assert read({"1": KEY}, issue("1", KEY, issued)) == issued


@pytest.mark.parametrize("body", [b"5", b"null", b"[" * 200_000, b'["' + b"k" * 3000 + b'"]'])
def test_a_text_that_was_made_to_trip_us_costs_no_other_label(cloud: MemoryCloud, body: bytes) -> None:
    trap = base64.urlsafe_b64encode(bytes(16) + body).decode()
    said = observe(cloud, "b1", (receipt(0), "7"), (trap, "7"), (receipt(1), "1"))
    (counted,) = [event.payload for event in said if isinstance(event.payload, EvidenceReported)]
    assert (counted.labelled, counted.wrong) == (2, 1)


def test_labels_of_another_model_do_not_count_for_this_one(cloud: MemoryCloud) -> None:
    other = issue("1", KEY, Receipt("flowers", "flowers-000002", "2", "abcd1234", 0, "7"))
    (said,) = observe(cloud, "b1", (other, "7"))
    assert isinstance(said.payload, Notification)
    assert said.payload.why == ("1 of another model",)


def test_receipts_of_two_keys_count_while_keys_change(cloud: MemoryCloud) -> None:
    cloud.state.put("keys/receipts/2", bytes(32).hex().encode())
    newer = issue("2", bytes(32), Receipt("digits", "digits-000002", "2", "abcd1234", 1, "7"))
    (said,) = observe(cloud, "b1", (receipt(0), "7"), (newer, "7"))
    assert isinstance(said.payload, EvidenceReported)
    assert said.payload.labelled == 2


def test_before_there_is_any_key_labels_wait() -> None:
    early = MemoryCloud()
    early.data.put(object_name(MODEL), b'[data]\ntarget = "y"\n')
    event = OutcomesObserved(model=MODEL, batch="b1", outcomes=((receipt(0), "7"),))
    envelope = Envelope("b1", "//clients", START, event)
    assert send(early, "record_outcomes", envelope) == 500
    early.state.put("keys/receipts/1", KEY.hex().encode())
    assert send(early, "record_outcomes", envelope) == 200
    assert data_of(early, "outcomes/digits/b1")["refused"] == {}
