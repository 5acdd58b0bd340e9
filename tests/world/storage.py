"""A bucket in memory: generations, preconditions, the server's own clock; a write is seen whole or not at all."""

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from shared.door import Door
from shared.errors import Refused
from shared.store import Entry
from shared.tables.checksum import crc32c_of, md5_of

T = TypeVar("T")


@dataclass(frozen=True)
class _Object:
    entry: Entry
    body: bytes


class MemoryStore:
    """Implements shared.store.Store; `put` overwrites, as people do in the data bucket."""

    def __init__(self, bucket: str, now: Callable[[], datetime], door: Door) -> None:
        self.bucket = bucket
        self._now = now
        self._door = door
        self._generations: dict[str, list[_Object]] = {}
        self._order: list[str] = []
        self._last_generation = 0
        self._lock = threading.RLock()

    def put(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry:
        sums = (crc32c_of(body), md5_of(body))
        with self._lock:
            self._last_generation += 1
            entry = Entry(key, self._last_generation, self._now(), len(body), dict(metadata or {}), *sums)
            if key not in self._generations:
                insort(self._ordered(), key)
            self._generations.setdefault(key, []).append(_Object(entry, body))
        return entry

    def delete(self, key: str) -> None:
        """Deletes every generation, as in a bucket without versions."""
        with self._lock:
            del self._generations[key]

    def keys(self) -> list[str]:
        with self._lock:
            return list(self._ordered())

    def create(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry | None:
        return self._through(
            "storage.create", lambda: None if key in self._generations else self.put(key, body, metadata)
        )

    def read(self, key: str, generation: int | None = None) -> bytes | None:
        def found() -> bytes | None:
            kept = self._find(key, generation)
            return None if kept is None else kept.body

        return self._through("storage.read", found)

    def stat(self, key: str, generation: int | None = None) -> Entry | None:
        kept = self._through("storage.stat", lambda: self._find(key, generation))
        return None if kept is None else kept.entry

    def entries(self, prefix: str) -> list[Entry]:
        return self._through("storage.list", lambda: [self._generations[key][-1].entry for key in self._below(prefix)])

    def entries_known(self, prefix: str) -> list[Entry]:
        return self.entries(prefix)

    def folders(self, prefix: str) -> list[str]:
        return self._through("storage.list", lambda: list(self._folders(prefix)))

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        kept = self._through("storage.open", lambda: self._find(key, generation))
        if kept is None:
            raise Refused("storage.open", "status 404: no such generation")
        for at in range(start, len(kept.body), 1 << 16):
            yield kept.body[at : at + (1 << 16)]

    def part(self, key: str, generation: int, start: int, length: int) -> bytes:
        kept = self._through("storage.read", lambda: self._find(key, generation))
        if kept is None:
            raise Refused("storage.read", "status 404: no such generation")
        return kept.body[start : start + length]

    def _through(self, effect: str, act: Callable[[], T]) -> T:
        def whole() -> T:
            with self._lock:
                return act()

        return self._door(effect, whole)

    def _below(self, prefix: str) -> Iterator[str]:
        keys = self._ordered()
        for place in range(bisect_left(keys, prefix), len(keys)):
            if not keys[place].startswith(prefix):
                return
            yield keys[place]

    def _folders(self, prefix: str) -> Iterator[str]:
        keys = self._ordered()
        place = bisect_left(keys, prefix)
        while place < len(keys) and keys[place].startswith(prefix):
            name, slash, _ = keys[place][len(prefix) :].partition("/")
            if slash:
                yield name
            after = f"{prefix}{name}{chr(ord('/') + 1)}"  # what would come next, whatever stands in the folder
            place = bisect_left(keys, after) if slash else place + 1

    def _ordered(self) -> list[str]:
        """The keys in their order, kept up to date, so that a listing costs what it lists."""
        if len(self._order) != len(self._generations):
            self._order = sorted(self._generations)
        return self._order

    def _find(self, key: str, generation: int | None) -> _Object | None:
        kept = self._generations.get(key, [])
        if generation is None:
            return kept[-1] if kept else None
        return next((each for each in kept if each.entry.generation == generation), None)
