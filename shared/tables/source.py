"""The bytes of exactly one generation of an object: in order and verified, or where a reader wants them."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
from collections.abc import Iterator
from functools import cached_property
from queue import Queue

from shared.errors import Transient
from shared.store import Entry, Store
from shared.tables.checksum import Crc32c

_HEAD_BYTES = 1 << 16  # an object that is no bigger is read at once
_MANY_BYTES = 1 << 16  # what a reader that jumps about is given at once
_RESUMPTIONS = 5  # of a download that breaks off, each after some progress or not


class UploadSource:
    """One generation of an object, as the bucket's `entry` describes it."""

    def __init__(self, store: Store, entry: Entry) -> None:
        self._store = store
        self._entry = entry

    @property
    def size(self) -> int:
        return self._entry.bytes

    def md5(self) -> str:
        """The checksum that the bucket keeps; computed for objects that were composed of parts, which have none."""
        if self._entry.md5:
            return self._entry.md5
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in self.chunks():
            digest.update(chunk)
        return base64.b64encode(digest.digest()).decode()

    @cached_property
    def head(self) -> bytes:
        """The beginning: all of it, if it is short."""
        return self.part(0, min(_HEAD_BYTES, self.size)) if self.size else b""

    def part(self, start: int, length: int) -> bytes:
        """Exactly these bytes; Refused if the generation is gone, Transient if the bucket gave others."""
        found = self._store.part(self._entry.key, self._entry.generation, start, length)
        if len(found) != length:
            raise Transient("storage.read", f"{len(found)} bytes instead of {length}")
        return found

    def chunks(self) -> Iterator[bytes]:
        """All bytes in order, fetched ahead of their use; Transient at the end if the checksum differs."""
        return _ahead(self._verified()) if len(self.head) < self.size else self._verified()

    def file(self) -> io.BufferedReader:
        """The object as a file that is read where somebody looks."""
        return io.BufferedReader(_Ranges(self), _MANY_BYTES)

    def _verified(self) -> Iterator[bytes]:
        running = Crc32c()
        for chunk in self._resumed():
            running.update(chunk)
            yield chunk
        if self._entry.crc32c and running.text() != self._entry.crc32c:
            raise Transient("storage.read", "the checksum differs")

    def _resumed(self) -> Iterator[bytes]:
        """All bytes; a download that breaks off is taken up where it did."""
        yield self.head
        at, left = len(self.head), _RESUMPTIONS
        while at < self.size:
            try:
                for chunk in self._store.stream(self._entry.key, self._entry.generation, at):
                    yield chunk
                    at += len(chunk)
                if at < self.size:
                    raise Transient("storage.read", "the answer ended early")
            except Transient:
                left -= 1
                if left < 0:
                    raise


class _Ranges(io.RawIOBase):
    def __init__(self, source: UploadSource) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]
        length = max(0, min(len(into), self._source.size - self._at))
        if length:
            into[:length] = self._source.part(self._at, length)
        self._at += length
        return length


def _ahead(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same parts, each fetched while the one before is worked on; the thread ends when nobody wants more."""
    fetched: Queue[bytes | BaseException | None] = Queue(maxsize=2)
    unwanted = threading.Event()

    def fetch() -> None:
        try:
            for part in parts:
                fetched.put(part)
                if unwanted.is_set():
                    return
            fetched.put(None)
        except BaseException as error:  # raised again where the part was wanted
            fetched.put(error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    try:
        while (part := fetched.get()) is not None:
            if isinstance(part, BaseException):
                raise part
            yield part
    finally:
        unwanted.set()
        while thread.is_alive():
            _drain(fetched)
            thread.join(0.01)


def _drain(fetched: Queue[bytes | BaseException | None]) -> None:
    while not fetched.empty():
        fetched.get()
