"""The files that an attempt leaves behind: created once, never changed."""

from __future__ import annotations

from collections.abc import Mapping

from shared.artefacts import EVALUATION
from shared.errors import Refused
from shared.store import Store


def write(store: Store, prefix: str, files: Mapping[str, bytes]) -> None:
    """Creates every file below the prefix; what an earlier life of the same job left there must be the same.

    Raises Refused if other bytes stand under one of the names: somebody may already have read them.
    """
    for name in sorted(files, key=lambda name: (name == EVALUATION, name)):
        if store.create(f"{prefix}{name}", files[name]) is None and store.read(f"{prefix}{name}") != files[name]:
            raise Refused("storage.create", f"{prefix}{name} stands already with other bytes")
