"""Looks for secrets everywhere where one could have been written by mistake, in every form that it could have there."""

import base64
import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from shared.receipt_keys import PREFIX
from shared.store import Store

TOKEN = re.compile(rb"Bearer |eyJ[A-Za-z0-9_-]{20,}\.eyJ")
"""What pushes and callers carry to say who they are. A receipt may hold `eyJ` by chance, but never a full stop."""
KEPT = "storage"
"""Where the local Cloud Storage keeps its objects, which are looked at one by one."""


def receipt_keys(state: Store) -> list[bytes]:
    """Every key that signs receipts, in every form; AssertionError if there is none."""
    kept = [state.read(entry.key) or b"" for entry in state.entries(PREFIX)]
    assert kept, "no key was made"
    return [form for key in kept for form in forms(bytes.fromhex(key.decode()))]


def forms(secret: bytes) -> list[bytes]:
    """A secret as it is, and as it is written in texts."""
    written = [
        secret.hex().encode(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    ]
    return [secret, *written, repr(secret).encode()[2:-1]]


def objects(stores: Iterable[Store]) -> Iterator[tuple[str, bytes]]:
    """Every object but the keys themselves."""
    for store in stores:
        for entry in store.entries(""):
            if not entry.key.startswith(PREFIX):
                yield (
                    entry.key,
                    b"\n".join([entry.key.encode(), repr(entry.metadata).encode(), store.read(entry.key) or b""]),
                )


def files(home: Path, but: Container[str] = (KEPT,)) -> Iterator[tuple[str, bytes]]:
    """Every file of an installation: logs, notices, what Pub/Sub and Vertex AI keep, what containers were given."""
    for path in home.rglob("*"):
        if path.is_file() and path.relative_to(home).parts[0] not in but:
            yield str(path), path.read_bytes()


def found(secrets: Iterable[bytes], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """The places in which a secret or a token is."""
    looked_for = list(secrets)
    return [place for place, content in places if TOKEN.search(content) or any(each in content for each in looked_for)]
