"""A bucket whose objects never change, remembered: what was read once need not be asked for again.

Only for the ledger: its objects are created once and neither overwritten nor deleted, so whatever was read stays true.
That something is missing is never remembered, since it may be created at any moment.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from shared.store import Entry, Store

MAX_OBJECTS = 2_000
MAX_OBJECT_BYTES = 64 * 1024
"""Together at most 128 MB, in practice a few: a record is one or two kilobytes."""


class RememberingStore:
    """Implements shared.store.Store on another store; safe for the threads of one function."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bucket(self) -> str:
        return self._store.bucket

    def create(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry | None:
        return self._store.create(key, body, metadata)

    def read(self, key: str, generation: int | None = None) -> bytes | None:
        if generation is not None:
            return self._store.read(key, generation)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        body = self._store.read(key)
        if body is not None:
            self._remember(key, body)
        return body

    def stat(self, key: str, generation: int | None = None) -> Entry | None:
        return self._store.stat(key, generation)

    def entries(self, prefix: str) -> list[Entry]:
        return self._store.entries(prefix)

    def folders(self, prefix: str) -> list[str]:
        return self._store.folders(prefix)

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        return self._store.stream(key, generation, start)

    def part(self, key: str, generation: int, start: int, length: int) -> bytes:
        return self._store.part(key, generation, start, length)

    def _remember(self, key: str, body: bytes) -> None:
        if len(body) > MAX_OBJECT_BYTES:
            return
        with self._lock:
            self._known[key] = body
            while len(self._known) > MAX_OBJECTS:
                self._known.popitem(last=False)
