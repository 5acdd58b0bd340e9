"""The files that an attempt leaves behind: created once, never changed, and known by one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from shared.errors import Refused
from shared.store import Store

LAST = "evaluation.json"
"""Written after all others: where it stands, the attempt is complete."""


def digest(files: Mapping[str, bytes]) -> str:
    """One digest for all files: SHA-256 of the lines `<sha256>  <name>`, by name, as sha256sum would print them."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write(store: Store, prefix: str, files: Mapping[str, bytes]) -> None:
    """Creates every file below the prefix; what an earlier life of the same job left there must be the same.

    Raises Refused if other bytes stand under one of the names: somebody may already have read them.
    """
    for name in sorted(files, key=lambda name: (name == LAST, name)):
        if store.create(f"{prefix}{name}", files[name]) is None and store.read(f"{prefix}{name}") != files[name]:
            raise Refused("storage.create", f"{prefix}{name} stands already with other bytes")
