"""Jobs, model versions, endpoints and operations as JSON documents in SQLite: what was answered survives a kill.

One event loop uses it, and nothing is awaited between a read and the write that follows from it, so no lock is needed.
A key that begins with an underscore is for ourselves and never leaves the service (`public`).
"""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from local.errors import CloudError, Status
from local.fields import Document

_FIRST_NUMBER = 1_000_001
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    place INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, parent TEXT NOT NULL, live INTEGER NOT NULL,
    body TEXT NOT NULL, UNIQUE (kind, name)
);
CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent);
CREATE INDEX IF NOT EXISTS alive ON documents (kind, parent) WHERE live;
CREATE TABLE IF NOT EXISTS numbers (kind TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""
_PUT = """
INSERT INTO documents (kind, name, parent, live, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, name) DO UPDATE SET live = excluded.live, body = excluded.body
"""
_COUNT = """
INSERT INTO numbers VALUES (?, ?) ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last
"""


class Documents:
    """Documents by kind and name; a live one still has something to be done for it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "state.sqlite", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def number(self, kind: str = "", first: int = _FIRST_NUMBER) -> int:
        """The next number of its kind, never given before, also across restarts."""
        return int(self._database.execute(_COUNT, (kind, first)).fetchone()[0])

    def find(self, kind: str, name: str) -> Document | None:
        found = self._bodies("kind = ? AND name = ?", kind, name)
        return found[0] if found else None

    def get(self, kind: str, name: str) -> Document:
        """The document, or NOT_FOUND in Google's words."""
        found = self.find(kind, name)
        if found is None:
            raise CloudError(Status.NOT_FOUND, f"The {kind} {name} does not exist.")
        return found

    def every(self, kind: str, parent: str) -> list[Document]:
        """All below a parent, oldest first."""
        return self._bodies("kind = ? AND parent = ?", kind, parent)

    def all_of(self, kind: str) -> list[Document]:
        """All of a kind, oldest first."""
        return self._bodies("kind = ?", kind)

    def live(self, kind: str) -> list[Document]:
        """The live ones, oldest first."""
        return self._bodies("kind = ? AND live", kind)

    def is_live_below(self, kind: str, parent: str) -> bool:
        return bool(self._bodies("kind = ? AND parent = ? AND live", kind, parent))

    def put(self, kind: str, name: str, document: Document, parent: str, live: bool = False) -> None:
        self._database.execute(_PUT, (kind, name, parent, live, json.dumps(document)))

    def delete(self, kind: str, name: str) -> None:
        self._database.execute("DELETE FROM documents WHERE kind = ? AND name = ?", (kind, name))

    def _bodies(self, where: str, *values: str) -> list[Document]:
        rows = self._database.execute(f"SELECT body FROM documents WHERE {where} ORDER BY place", values)
        return [json.loads(body) for (body,) in rows]


def public(document: Document) -> Document:
    """A document as clients see it."""
    return {key: value for key, value in document.items() if not key.startswith("_")}


def timestamp() -> str:
    """Now, as Google writes times in JSON."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
