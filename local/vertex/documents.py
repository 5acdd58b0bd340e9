"""Jobs, models, endpoints and operations as JSON documents in SQLite: what was answered survives a kill."""

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.errors import CloudError, Status

Document = dict[str, Any]


class Documents:
    """Documents by kind and name; `change` is atomic among threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "vertex.sqlite", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS documents (kind TEXT, name TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, name))"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS numbers (last INTEGER NOT NULL)")
        self.lock = threading.RLock()

    def close(self) -> None:
        with self.lock:
            self._database.close()

    def number(self) -> int:
        """A number never given before, also after a restart."""
        with self.lock:
            row = self._database.execute("SELECT last FROM numbers").fetchone()
            last = 1_000_000 if row is None else int(row[0]) + 1
            self._database.execute("DELETE FROM numbers")
            self._database.execute("INSERT INTO numbers VALUES (?)", (last,))
            return last

    def find(self, kind: str, name: str) -> Document | None:
        with self.lock:
            row = self._database.execute(
                "SELECT body FROM documents WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def get(self, kind: str, name: str) -> Document:
        """The document, or NOT_FOUND in Google's words."""
        found = self.find(kind, name)
        if found is None:
            raise CloudError(Status.NOT_FOUND, f"The {kind} {name} does not exist.")
        return found

    def every(self, kind: str) -> list[Document]:
        with self.lock:
            rows = self._database.execute(
                "SELECT body FROM documents WHERE kind = ? ORDER BY rowid", (kind,)
            ).fetchall()
        return [json.loads(body) for (body,) in rows]

    def put(self, kind: str, name: str, document: Document) -> None:
        with self.lock:
            self._database.execute(
                "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body",
                (kind, name, json.dumps(document)),
            )

    def change(self, kind: str, name: str, change: Callable[[Document], None]) -> Document:
        """Changes a document in place and keeps it; what `change` raises leaves it as it was."""
        with self.lock:
            document = self.get(kind, name)
            change(document)
            self.put(kind, name, document)
            return document

    def delete(self, kind: str, name: str) -> None:
        with self.lock:
            self._database.execute("DELETE FROM documents WHERE kind = ? AND name = ?", (kind, name))
