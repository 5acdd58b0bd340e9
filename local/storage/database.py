"""The one SQLite file that is the truth: what its last commit holds exists, everything else never happened.

WAL with synchronous=NORMAL keeps every commit across the death of the process (not across a power cut, which a local
cloud need not survive). One connection, used by one thread, so a transaction is also the only critical section needed.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from local.storage.names import Generation

Clock = Callable[[], int]  # microseconds since the epoch

_SCHEMA = """
CREATE TABLE IF NOT EXISTS generations (last INTEGER NOT NULL);
INSERT INTO generations SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM generations);

CREATE TABLE IF NOT EXISTS buckets (
  name TEXT PRIMARY KEY, project TEXT NOT NULL, metageneration INTEGER NOT NULL, created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL, attributes TEXT NOT NULL, last_notification INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS objects (
  id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
  metageneration INTEGER NOT NULL, size_bytes INTEGER NOT NULL, crc32c TEXT NOT NULL, md5 TEXT NOT NULL,
  created_us INTEGER NOT NULL, updated_us INTEGER NOT NULL, deleted_us INTEGER, file TEXT, attributes TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS versions ON objects (bucket, name, generation);
CREATE UNIQUE INDEX IF NOT EXISTS live ON objects (bucket, name) WHERE deleted_us IS NULL;

CREATE TABLE IF NOT EXISTS small_bodies (object_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

CREATE TABLE IF NOT EXISTS uploads (
  id TEXT PRIMARY KEY, bucket TEXT NOT NULL, created_us INTEGER NOT NULL, request TEXT NOT NULL, finished TEXT
  ) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS notifications (
  bucket TEXT NOT NULL, id INTEGER NOT NULL, topic TEXT NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (bucket, id)
  ) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, created_us INTEGER NOT NULL, attributes TEXT NOT NULL,
  data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_by_topic ON outbox (topic, id);
"""


def system_clock() -> int:
    return time.time_ns() // 1000


def open_database(path: Path) -> sqlite3.Connection:
    """The database at `path`, created when absent; statements outside `transaction` commit by themselves."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside are committed together, or none when an exception leaves the block."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def next_generation(connection: sqlite3.Connection, now_us: int) -> Generation:
    """A number larger than every generation given before, and the time in microseconds unless the clock went back."""
    sql = "UPDATE generations SET last = max(last + 1, ?) RETURNING last"
    [row] = connection.execute(sql, (now_us,)).fetchall()
    return Generation(row["last"])
