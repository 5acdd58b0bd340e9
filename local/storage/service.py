"""The state of one local Cloud Storage, opened from its folder, which only one process may hold at a time."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.storage.bodies import Bodies
from local.storage.buckets import Buckets
from local.storage.database import Clock, open_database
from local.storage.notifications import Notifications
from local.storage.objects import Objects
from local.storage.outbox import Outbox
from local.storage.uploads import Uploads
from local.storage.writing_rate import WritingRate


class FolderInUse(Exception):
    """Another process serves this folder."""


@dataclass(frozen=True, slots=True)
class Service:
    """Everything the wire needs; used by one thread only."""

    connection: sqlite3.Connection
    bodies: Bodies
    buckets: Buckets
    objects: Objects
    uploads: Uploads
    notifications: Notifications
    outbox: Outbox
    lock: int

    def close(self) -> None:
        self.uploads.close()
        self.connection.close()
        os.close(self.lock)


def open_service(
    folder: Path,
    base_url: str,
    clock: Clock,
    committed: Callable[[set[str]], None],
    limits_writes: bool = False,
) -> Service:
    """The service as its last commit left it, swept of what a crash left behind. FolderInUse when another serves it.

    `base_url` is where links in notifications point; `committed` is told which topics the outbox has more for;
    with `limits_writes` an object takes one write per second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder / "lock")
    connection = open_database(folder / "storage.sqlite")
    bodies = Bodies(folder, connection)
    buckets = Buckets(connection, clock)
    notifications = Notifications(connection, clock, base_url)
    rate = WritingRate(clock) if limits_writes else None
    objects = Objects(connection, clock, buckets, bodies, notifications, committed, rate)
    uploads = Uploads(folder, connection, clock, objects)
    bodies.sweep()
    uploads.sweep()
    return Service(connection, bodies, buckets, objects, uploads, notifications, Outbox(connection), lock)


def _locked(path: Path) -> int:
    """The kernel drops the lock with the process, however it dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderInUse(f"another process serves {path.parent}") from None
    return descriptor
