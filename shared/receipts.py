"""Receipts: what a prediction hands out so that its label, arriving later, counts for the right deployment, once.

A receipt is opaque and signed: base64url of a small JSON body and 16 bytes of HMAC-SHA256 (RFC 2104, truncated as its
section 5 allows). Its (reporter, sequence) pair is its identity; sequences are dense, so that what was counted already
needs little room.
"""

import base64
import hashlib
import hmac
import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAC_BYTES = 16
_BLOCK_BYTES = 64  # of SHA-256
MAX_RECEIPT_CHARACTERS = 1024
_LAST_SEQUENCE = 2**53  # no process lives to issue as many
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class BadReceiptError(ValueError):
    """A text that is no receipt of ours."""


@dataclass(frozen=True)
class Receipt:
    """Which deployment predicted which label, as the how-manieth of which reporter."""

    model: str
    run: str
    deployed_model: str
    reporter: str
    sequence: int
    label: str


def issue(key_id: str, key: bytes, receipt: Receipt) -> str:
    """The text of a receipt, signed with a key that later can be told by its id."""
    fields = [
        key_id, receipt.model, receipt.run, receipt.deployed_model, receipt.reporter, receipt.sequence, receipt.label,
    ]  # fmt: skip
    body = json.dumps(fields, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(key, body) + body).decode().rstrip("=")


class Issuer:
    """Issues the receipts of one reporter: the same texts as `issue`, whose unchanging parts it makes only once.

    Raises ValueError when a label is so long that its receipt would be refused.
    """

    def __init__(self, key_id: str, key: bytes, life: Receipt, labels: Sequence[str]) -> None:
        padded = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\0")
        # RFC 2104's two hashes, each with its padded key already taken in: a third of the time of a whole HMAC.
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        fields = [key_id, life.model, life.run, life.deployed_model, life.reporter]
        self._head = json.dumps(fields, separators=(",", ":")).encode()[:-1] + b","
        self._tails = [b"," + json.dumps(label).encode() + b"]" for label in labels]
        for place, label in enumerate(labels):
            if len(self.issue(_LAST_SEQUENCE, place)) > MAX_RECEIPT_CHARACTERS:
                raise ValueError(f"a receipt for the label {label[:40]!r} would be too long")

    def issue(self, sequence: int, label: int) -> str:
        """The text of the receipt for the label at a place in the list of labels."""
        body = b"%b%d%b" % (self._head, sequence, self._tails[label])
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return b2a_base64(outer.digest()[:_MAC_BYTES] + body, newline=False).translate(_URL_SAFE, b"=").decode()


def read(keys: Mapping[str, bytes], text: str) -> Receipt:
    """The receipt in a text; raises BadReceiptError unless one of the keys signed it."""
    if len(text) > MAX_RECEIPT_CHARACTERS:
        raise BadReceiptError("too long")
    try:
        raw, fields = _opened(text)
        key_id, model, run, deployed_model, reporter, sequence, label = fields
    except ValueError as error:
        raise BadReceiptError("not a receipt") from error
    key = keys.get(key_id) if isinstance(key_id, str) else None
    if key is None:
        raise BadReceiptError("signed with a key that is not known")
    if not hmac.compare_digest(_mac(key, raw[_MAC_BYTES:]), raw[:_MAC_BYTES]):
        raise BadReceiptError("the signature is wrong")
    return Receipt(model, run, deployed_model, reporter, sequence, label)


def key_id_of(text: str) -> str | None:
    """The id of the key that a receipt says it was signed with, before anything is believed."""
    if len(text) > MAX_RECEIPT_CHARACTERS:
        return None
    try:
        _, fields = _opened(text)
    except ValueError:
        return None
    return fields[0] if fields and isinstance(fields[0], str) else None


def _opened(text: str) -> tuple[bytes, list[Any]]:
    """The bytes and the fields of a text that nobody has believed yet; ValueError when it holds no list."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    try:
        fields = json.loads(raw[_MAC_BYTES:])
    except RecursionError as deep:
        raise ValueError("nested too deeply") from deep
    if not isinstance(fields, list):
        raise ValueError("no list of fields")
    return raw, fields


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC_BYTES]
