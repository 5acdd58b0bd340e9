"""Where topics, subscriptions and messages are kept: SQLite in WAL mode, so that what was answered survives a kill."""

import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, proto BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subscriptions (name TEXT PRIMARY KEY, topic TEXT NOT NULL, proto BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, published REAL NOT NULL, proto BLOB NOT NULL
);
-- One row for each message that a subscription has still to deliver; a lease is an availability in the future.
CREATE TABLE IF NOT EXISTS deliveries (
    subscription TEXT NOT NULL, message INTEGER NOT NULL, attempt INTEGER NOT NULL, available REAL NOT NULL,
    PRIMARY KEY (subscription, message)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due ON deliveries (subscription, available);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (message);
"""


def opened(folder: Path) -> sqlite3.Connection:
    """The database of a data folder; one connection, to be used by one thread at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "pubsub.sqlite", check_same_thread=False, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(_SCHEMA)
    # Leases die with the server that gave them.
    database.execute("UPDATE deliveries SET available = 0 WHERE attempt > 0")
    return database
