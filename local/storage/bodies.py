"""Object bytes: small ones travel with the metadata into SQLite, large ones become files with names of our own.

    draft (memory, then drafts/<random>) ──adopt──► files/<random> ──commit of the row──► visible
                                                        └ no row after a crash: swept at the next start
A file is complete before it gets its place under files/, and the row that names it is the commit point.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from local.storage.checksums import Checksums, Digest

# Up to here a row in SQLite is cheaper than a file of its own (https://www.sqlite.org/intern-v-extern-blob.html).
SMALL_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """Complete bytes and their checksums: in memory (`small`), or in a file that its owner will remove (`path`)."""

    checksums: Checksums
    small: bytes | None = None
    path: Path | None = None


class Draft:
    """Bytes still arriving; nobody sees them until `Bodies.adopt`. Leaving the `with` block removes what it wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory = bytearray()
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._digest = Digest()

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        if self._file is not None:
            self._file.write(chunk)
            return
        self._memory += chunk
        if len(self._memory) > SMALL_LIMIT_BYTES:
            self._spill()

    def _spill(self) -> None:
        self._path = self._folder / secrets.token_hex(16)
        self._file = self._path.open("xb")
        self._file.write(self._memory)
        self._memory.clear()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def content(self) -> Content:
        self._close()
        if self._path is None:
            return Content(self._digest.checksums(), small=bytes(self._memory))
        return Content(self._digest.checksums(), path=self._path)


class Bodies:
    """The bytes of all stored objects."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._files = folder / "files"
        self._drafts = folder / "drafts"
        self._connection = connection
        for directory in (self._files, self._drafts):
            directory.mkdir(parents=True, exist_ok=True)

    def draft(self) -> Draft:
        return Draft(self._drafts)

    def adopt(self, content: Content) -> str | None:
        """Give large content its place; its new file name, None for small content. The owner keeps its own path."""
        if content.path is None:
            return None
        file = secrets.token_hex(16)
        (self._files / file).hardlink_to(content.path)
        return file

    def put_small(self, object_id: int, content: Content) -> None:
        if content.small is not None:
            self._connection.execute("INSERT INTO small_bodies VALUES (?, ?)", (object_id, content.small))

    def delete_small(self, object_id: int) -> None:
        self._connection.execute("DELETE FROM small_bodies WHERE object_id = ?", (object_id,))

    def delete_file(self, file: str | None) -> None:
        """After the commit that forgets it: a reader that has it open reads on to its end."""
        if file is not None:
            (self._files / file).unlink(missing_ok=True)

    def path(self, file: str) -> Path:
        return self._files / file

    def read_small(self, object_id: int) -> bytes:
        row = self._connection.execute("SELECT bytes FROM small_bodies WHERE object_id = ?", (object_id,)).fetchone()
        return bytes(row["bytes"])

    def sweep(self) -> None:
        """Remove what a crash left behind: drafts, and files that no row names. Only before the first request."""
        rows = self._connection.execute("SELECT file FROM objects WHERE file IS NOT NULL")
        known = {row["file"] for row in rows}
        for path in (*_entries(self._drafts), *_entries(self._files)):
            if path.parent == self._drafts or path.name not in known:
                path.unlink()


def _entries(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from [Path(entry.path) for entry in entries]


def read_pieces(path: Path, piece_bytes: int) -> Iterator[bytes]:
    """The bytes of a file, piece by piece."""
    with contextlib.closing(path.open("rb")) as file:
        while piece := file.read(piece_bytes):
            yield piece
