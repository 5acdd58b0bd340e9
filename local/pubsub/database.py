"""Where topics, subscriptions and messages are kept: SQLite in WAL mode, so that what was answered survives a kill.

Everything written in one turn of the event loop is one transaction (a group commit without a delay). Leases and
backoffs are not kept: after a kill the message is delivered again, which at-least-once allows.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

_FILE = "pubsub.sqlite3"
_BUSY_SECONDS = 5.0  # a killed predecessor may take a moment to be gone
_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, proto BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subscriptions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, proto BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, published REAL NOT NULL, proto BLOB NOT NULL);
-- One row for each message that a subscription has still to deliver, with the attempts that have failed.
CREATE TABLE IF NOT EXISTS deliveries (
    subscription INTEGER NOT NULL, message INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (subscription, message)
) WITHOUT ROWID;
"""
# A kill can fall between a deletion and its commit; what nobody waits for any more goes at the next start.
_TIDY = """
DELETE FROM deliveries WHERE subscription NOT IN (SELECT number FROM subscriptions);
DELETE FROM messages WHERE id NOT IN (SELECT message FROM deliveries);
"""
Value = str | int | float | bytes


class Database:
    """One data folder, opened for this process alone; belongs to the event loop that it is made in."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / _FILE, timeout=_BUSY_SECONDS, isolation_level=None)
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA + _TIDY)
        self._loop = asyncio.get_running_loop()
        self._after: list[Callable[[Exception | None], None]] = []
        self._open = False

    def close(self) -> None:
        self._commit()
        self._connection.close()

    def write(self, statement: str, *values: Value) -> None:
        """Adds a statement to this turn's transaction."""
        self._begin()
        self._connection.execute(statement, values)

    def read(self, statement: str, *values: Value) -> list[tuple[Value, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def message(self, message: int) -> bytes:
        """A kept message, serialised."""
        (proto,) = self._connection.execute("SELECT proto FROM messages WHERE id = ?", (message,)).fetchone()
        return bytes(proto)

    async def kept(self) -> None:
        """Returns once everything written in this turn is committed; raises when it could not be."""
        if not self._open:
            return
        kept: asyncio.Future[None] = self._loop.create_future()
        self._after.append(lambda error: _settle(kept, error))
        await kept

    def on_kept(self, act: Callable[[], None]) -> None:
        """Acts once everything written in this turn is committed; not at all when it could not be."""
        self._begin()
        self._after.append(lambda error: None if error else act())

    def _begin(self) -> None:
        if not self._open:
            self._connection.execute("BEGIN IMMEDIATE")
            self._open = True
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        if not self._open:
            return
        error = self._try_to_commit()
        self._open = False
        after, self._after = self._after, []
        for each in after:
            each(error)

    def _try_to_commit(self) -> Exception | None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._connection.execute("ROLLBACK")
            return error
        return None


def _settle(kept: "asyncio.Future[None]", error: Exception | None) -> None:
    if kept.done():
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)
