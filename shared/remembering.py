"""A bucket whose objects never change, remembered: what was read once need not be asked for again.

Only for the ledger: its objects are created once and neither overwritten nor deleted, so whatever was read stays true.
That something is missing is never remembered, since it may be created at any moment.

A listing is remembered only for who asks for what is known, and only for as long as it would be dear to list again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from shared.store import Entry, Store

MAX_OBJECTS = 2_000
MAX_OBJECT_BYTES = 64 * 1024
"""Together at most 128 MB, in practice a few: a record is one or two kilobytes."""
MAX_LISTED = 20_000
"""Objects of one listing that are remembered: about 15 MB."""
MAX_LISTINGS = 20
REST = 20
"""A listing is good for so many times what it took: in a burst of writes, listings take a twentieth of the time."""
MAX_REST_SECONDS = 30.0


@dataclass
class _Listing:
    """What is known to be below a prefix; `good_until` is None before the first listing has come back."""

    entries: dict[str, Entry] = field(default_factory=dict)
    good_until: float | None = None


class RememberingStore:
    """Implements shared.store.Store on another store; safe for the threads of one function."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic, max_listed: int = MAX_LISTED) -> None:
        self._store = store
        self._clock = clock
        self._max_listed = max_listed
        self._listings: OrderedDict[str, _Listing] = OrderedDict()
        self._known: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bucket(self) -> str:
        return self._store.bucket

    def create(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry | None:
        created = self._store.create(key, body, metadata)
        if created is not None:
            with self._lock:
                listing = self._listings.get(_folder(key))
                if listing is not None:
                    listing.entries[key] = created
        return created

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

    def entries_known(self, prefix: str) -> list[Entry]:
        """For a prefix that ends with a slash. Whoever else creates something there is seen within MAX_REST_SECONDS."""
        begun = self._clock()
        with self._lock:
            listing = self._listings.setdefault(prefix, _Listing())
            self._listings.move_to_end(prefix)
            if len(self._listings) > MAX_LISTINGS:
                self._listings.popitem(last=False)
            if listing.good_until is not None and begun < listing.good_until:
                return list(listing.entries.values())
            if listing.good_until is not None:
                listing.good_until = begun + MAX_REST_SECONDS  # one lists, the others go on with what is known
        try:
            found = self._store.entries(prefix)
        except BaseException:
            self._forget(prefix)
            raise
        with self._lock:
            listing.entries.update((entry.key, entry) for entry in found)
            ended = self._clock()
            listing.good_until = ended + min(REST * (ended - begun), MAX_REST_SECONDS)
            known = list(listing.entries.values())
        if len(known) > self._max_listed:
            self._forget(prefix)
        return known

    def folders(self, prefix: str) -> list[str]:
        return self._store.folders(prefix)

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        return self._store.stream(key, generation, start)

    def part(self, key: str, generation: int, start: int, length: int) -> bytes:
        return self._store.part(key, generation, start, length)

    def _forget(self, prefix: str) -> None:
        with self._lock:
            self._listings.pop(prefix, None)

    def _remember(self, key: str, body: bytes) -> None:
        if len(body) > MAX_OBJECT_BYTES:
            return
        with self._lock:
            self._known[key] = body
            while len(self._known) > MAX_OBJECTS:
                self._known.popitem(last=False)


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]
