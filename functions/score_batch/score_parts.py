"""Lines into create-only objects of bounded size: `<place>/<name>-00000.jsonl`, and so on.

The same lines make the same objects, so that whoever is delivered again writes nothing twice.
"""

import json
from collections.abc import Iterator
from typing import Any

from shared.store import Store
from shared.tables.streamed import whole_lines

PART_BYTES = 16 << 20


class Parts:
    """A sequence of JSON Lines files below a prefix; `keys` names those that stand."""

    def __init__(self, store: Store, prefix: str, part_bytes: int = PART_BYTES) -> None:
        self._store = store
        self._prefix = prefix
        self._part_bytes = part_bytes
        self._waiting = bytearray()
        self.keys: list[str] = []
        self.lines = 0

    def add(self, line: Any) -> None:
        """Takes one line; writes when enough have come."""
        self._waiting += json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.lines += 1
        if len(self._waiting) >= self._part_bytes:
            self.close()

    def close(self) -> None:
        """Writes what waits."""
        if self._waiting:
            key = f"{self._prefix}-{len(self.keys):05d}.jsonl"
            self._store.create(key, bytes(self._waiting))
            self.keys.append(key)
            self._waiting = bytearray()


def lines_below(store: Store, prefix: str) -> Iterator[Any]:
    """Every line of the objects whose keys begin so, in the order of the keys."""
    for entry in store.entries(prefix):
        for text in whole_lines(store.stream(entry.key, entry.generation)):
            for line in text.split(b"\n"):
                if line.strip():
                    yield json.loads(line)
