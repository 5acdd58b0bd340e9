"""Objects and their generations: one transaction decides the precondition, writes the row and leaves the notifications.

          insert (FINALIZE)                patch, replace (METADATA_UPDATE)
absent ─────────────────────► live ◄───────────────────────┐
   ▲                           │ └─────────────────────────┘
   │  delete, or overwritten,  │
   │  without versioning       │ delete, or overwritten, with versioning (ARCHIVE)
   │  (DELETE)                 ▼
   ├───────────────────────── live
   └──── delete by generation (DELETE) ──── noncurrent
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from local.storage.attributes import Attributes, merged, object_attributes, object_changes
from local.storage.bodies import Bodies, Content
from local.storage.buckets import Buckets
from local.storage.checksums import Checksums
from local.storage.database import Clock, next_generation, transaction
from local.storage.errors import object_not_found
from local.storage.names import BucketName, ObjectName
from local.storage.notifications import Event, EventType, Notifications
from local.storage.preconditions import Preconditions
from local.storage.stored import COLUMNS, StoredObject, object_of_row
from local.storage.writing_rate import WritingRate

_INSERT = """INSERT INTO objects (bucket, name, generation, metageneration, size_bytes, crc32c, md5, created_us,
 updated_us, file, attributes) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)"""


class Objects:
    """The objects of all buckets. Every change is one transaction; CloudError where Google refuses."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        buckets: Buckets,
        bodies: Bodies,
        notifications: Notifications,
        committed: Callable[[set[str]], None],
        rate: WritingRate | None = None,
    ) -> None:
        """`committed` is told, after each commit that left notifications in the outbox, for which topics.

        With a `rate`, writes to the same name that come too fast are refused.
        """
        self._connection = connection
        self._clock = clock
        self._buckets = buckets
        self._bodies = bodies
        self._notifications = notifications
        self._committed = committed
        self._rate = rate
        self._written: set[tuple[str, str]] = set()
        self._unneeded_files: list[str] = []
        self._topics: set[str] = set()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction that removes, once committed, the files it made unneeded, and tells about its notifications."""
        self._unneeded_files.clear()
        self._topics.clear()
        self._written.clear()
        with transaction(self._connection):
            yield
        for file in self._unneeded_files:
            self._bodies.delete_file(file)
        if self._rate is not None:
            for bucket, name in self._written:
                self._rate.written(bucket, name)
        if self._topics:
            self._committed(set(self._topics))

    def _note_write(self, bucket: str, name: str) -> None:
        """CloudError 429 when the last write to this name was less than a second ago, where that is asked for."""
        if self._rate is not None:
            self._rate.check(bucket, name)
            self._written.add((bucket, name))

    # -- reading

    def live(self, bucket: str, name: str) -> StoredObject | None:
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND deleted_us IS NULL"
        row = self._connection.execute(sql, (bucket, name)).fetchone()
        return None if row is None else object_of_row(row)

    def get(self, bucket: str, name: str, generation: int | None = None) -> StoredObject:
        """The live object, or the given generation whether live or noncurrent."""
        found = self.live(bucket, name) if generation is None else self._version(bucket, name, generation)
        if found is None:
            self._buckets.get(bucket)
            raise object_not_found(bucket, name)
        return found

    def _version(self, bucket: str, name: str, generation: int) -> StoredObject | None:
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND name = ? AND generation = ?"
        row = self._connection.execute(sql, (bucket, name, generation)).fetchone()
        return None if row is None else object_of_row(row)

    # -- writing

    def insert(
        self,
        bucket: BucketName,
        name: ObjectName,
        attributes: Attributes,
        content: Content,
        preconditions: Preconditions,
    ) -> StoredObject:
        with self.transaction():
            return self.insert_inside(bucket, name, attributes, content, preconditions)

    def insert_inside(
        self,
        bucket: BucketName,
        name: ObjectName,
        attributes: Attributes,
        content: Content,
        preconditions: Preconditions,
    ) -> StoredObject:
        """`insert` as a part of the caller's `transaction`."""
        is_versioned = self._buckets.get(bucket).is_versioned
        replaced = self.live(bucket, name)
        preconditions.check_write(replaced)
        self._note_write(bucket, name)
        now_us = self._clock()
        generation = next_generation(self._connection, now_us)
        if replaced is not None:
            self._retire(replaced, is_versioned, now_us, overwritten_by=generation)
        file = self._bodies.adopt(content)
        sums: Checksums = content.checksums
        values = (bucket, name, generation, sums.size_bytes, sums.crc32c, sums.md5, now_us, now_us, file)
        row_id = self._connection.execute(_INSERT, (*values, json.dumps(attributes))).lastrowid
        self._bodies.put_small(row_id or 0, content)
        stored = self.get(bucket, name, generation)
        overwrote = None if replaced is None else replaced.generation
        self._record(Event(EventType.FINALIZE, stored, overwrote=overwrote))
        return stored

    def _record(self, event: Event) -> None:
        self._topics.update(self._notifications.record(event))

    def _retire(self, stored: StoredObject, keep: bool, now_us: int, overwritten_by: int | None = None) -> None:
        """Make a live object noncurrent, or remove it where versions are not kept."""
        retired = replace(stored, deleted_us=now_us)
        if not keep:
            self._remove(stored)
            self._record(Event(EventType.DELETE, retired, overwritten_by=overwritten_by))
            return
        self._connection.execute("UPDATE objects SET deleted_us = ? WHERE id = ?", (now_us, stored.id))
        self._record(Event(EventType.ARCHIVE, retired, overwritten_by=overwritten_by))

    def _remove(self, stored: StoredObject) -> None:
        self._connection.execute("DELETE FROM objects WHERE id = ?", (stored.id,))
        if stored.file is None:
            self._bodies.delete_small(stored.id)
        else:
            self._unneeded_files.append(stored.file)

    def delete(self, bucket: str, name: str, generation: int | None, preconditions: Preconditions) -> None:
        """Without a generation, a versioned bucket keeps the object as noncurrent; with one, it is gone for good."""
        with self.transaction():
            stored = self.get(bucket, name, generation)
            preconditions.check_write(stored)
            self._note_write(bucket, name)
            keep = generation is None and self._buckets.get(bucket).is_versioned
            self._retire(stored, keep, self._clock())

    def patch(
        self, bucket: str, name: str, generation: int | None, patch: Mapping[str, Any], preconditions: Preconditions
    ) -> StoredObject:
        changes = object_changes(patch)
        return self._change(
            bucket, name, generation, preconditions, lambda attributes: object_attributes(merged(attributes, changes))
        )

    def replace_attributes(
        self, bucket: str, name: str, generation: int | None, resource: Mapping[str, Any], preconditions: Preconditions
    ) -> StoredObject:
        attributes = object_attributes(resource)
        return self._change(bucket, name, generation, preconditions, lambda _: attributes)

    def _change(
        self,
        bucket: str,
        name: str,
        generation: int | None,
        preconditions: Preconditions,
        change: Callable[[Attributes], Attributes],
    ) -> StoredObject:
        with self.transaction():
            stored = self.get(bucket, name, generation)
            preconditions.check_write(stored)
            self._note_write(bucket, name)
            sql = "UPDATE objects SET attributes = ?, metageneration = metageneration + 1, updated_us = ? WHERE id = ?"
            self._connection.execute(sql, (json.dumps(change(stored.attributes)), self._clock(), stored.id))
            changed = self.get(bucket, name, stored.generation)
            self._record(Event(EventType.METADATA_UPDATE, changed))
            return changed

    def copy(
        self,
        source: StoredObject,
        bucket: BucketName,
        name: ObjectName,
        attributes: Attributes,
        preconditions: Preconditions,
    ) -> StoredObject:
        """A new object with the source's bytes; attributes, when there are any, replace those of the source."""
        new_attributes = {"contentType": source.content_type} | attributes if attributes else source.attributes
        return self.insert(bucket, name, new_attributes, self._content(source), preconditions)

    def _content(self, stored: StoredObject) -> Content:
        sums = Checksums(stored.size_bytes, stored.crc32c, stored.md5)
        if stored.file is None:
            return Content(sums, small=self._bodies.read_small(stored.id))
        return Content(sums, path=self._bodies.path(stored.file))
