"""A receipt is believed only as it was issued, and counts once."""

import base64
import json
import random
from dataclasses import replace

import pytest

from shared.receipts import MAX_RECEIPT_CHARACTERS, BadReceiptError, Issuer, Receipt, issue, key_id_of, read

KEY, OTHER = bytes(range(32)), bytes(32)
RECEIPT = Receipt("digits", "digits-000002", "2", "7f3a9c21", 41, "7")
TEXT = issue("1", KEY, RECEIPT)


def test_a_receipt_is_read_back_as_it_was_issued() -> None:
    assert read({"1": KEY, "2": OTHER}, TEXT) == RECEIPT
    assert key_id_of(TEXT) == "1"


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_no_character_can_be_changed(place: int) -> None:
    another = "A" if TEXT[place] != "A" else "B"
    changed = f"{TEXT[:place]}{another}{TEXT[place + 1 :]}"
    if base64.urlsafe_b64decode(changed + "==") == base64.urlsafe_b64decode(TEXT + "=="):
        pytest.skip("the last character's spare bits say nothing")
    with pytest.raises(BadReceiptError):
        read({"1": KEY}, changed)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"1": OTHER}, TEXT),
        ({"2": KEY}, TEXT),
        ({}, TEXT),
        ({"1": KEY}, ""),
        ({"1": KEY}, "not a receipt"),
        ({"1": KEY}, "é"),
        ({"1": KEY}, TEXT + "A" * MAX_RECEIPT_CHARACTERS),
    ],
)
def test_what_was_not_issued_with_a_known_key_is_refused(keys: dict[str, bytes], text: str) -> None:
    with pytest.raises(BadReceiptError):
        read(keys, text)


def test_a_body_signed_by_nobody_is_refused() -> None:
    body = json.dumps(["1", "digits", "digits-000002", "2", "7f3a9c21", 41, "8"]).encode()
    forged = base64.urlsafe_b64encode(bytes(16) + body).decode().rstrip("=")
    assert key_id_of(forged) == "1"
    with pytest.raises(BadReceiptError, match="signature"):
        read({"1": KEY}, forged)


def unsigned(body: bytes) -> str:
    return base64.urlsafe_b64encode(bytes(16) + body).decode().rstrip("=")


BODIES = (b"5", b"null", b"true", b'"1234567"', b"[1]", b'{"1": 2}', b"[[1], 2, 3, 4, 5, 6, 7]", b"[" * 700, b"\xff")


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
def test_whatever_json_a_stranger_wraps_is_refused_and_not_stumbled_over(body: bytes) -> None:
    with pytest.raises(BadReceiptError):
        read({"1": KEY}, unsigned(body))
    assert key_id_of(unsigned(body)) in (None, "1")


@pytest.mark.parametrize("body", [b"[" * 200_000, json.dumps(["k" * 3000]).encode()], ids=["deep", "long"])
def test_what_is_longer_than_a_receipt_names_no_key(body: bytes) -> None:
    assert key_id_of(unsigned(body)) is None


LABELS = ("7", "eight", "ñ", 'a "quoted" one', "")


@pytest.mark.parametrize("sequence", [0, 9, 10**15])
@pytest.mark.parametrize("key_bytes", [1, 32, 64, 65, 200])
def test_an_issuer_issues_the_same_texts_as_are_issued_one_by_one(sequence: int, key_bytes: int) -> None:
    key = random.Random(key_bytes).randbytes(key_bytes)
    issuer = Issuer("1", key, RECEIPT, LABELS)
    for place, label in enumerate(LABELS):
        assert issuer.issue(sequence, place) == issue("1", key, replace(RECEIPT, sequence=sequence, label=label))


def test_a_label_whose_receipt_would_be_refused_is_refused_before_it_is_told() -> None:
    longest = next(size for size in range(1024, 0, -1) if _fits("x" * size))
    last = issue("1", KEY, replace(RECEIPT, sequence=2**53, label="x" * longest))
    assert read({"1": KEY}, last).label == "x" * longest
    with pytest.raises(ValueError, match="too long"):
        Issuer("1", KEY, RECEIPT, ["7", "x" * (longest + 1)])


def _fits(label: str) -> bool:
    return len(issue("1", KEY, replace(RECEIPT, sequence=2**53, label=label))) <= MAX_RECEIPT_CHARACTERS
