"""Buckets: create-only names, a metageneration that counts their changes, and no deletion while anything is inside."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.storage.attributes import Attributes, bucket_attributes, bucket_changes, merged
from local.storage.database import Clock, transaction
from local.storage.errors import bucket_exists, bucket_not_empty, bucket_not_found
from local.storage.names import BucketName, bucket_name
from local.storage.preconditions import MetagenerationOf, Preconditions

_DEFAULTS = {"location": "US", "storageClass": "STANDARD"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket as it is stored."""

    name: BucketName
    project: str
    metageneration: int
    created_us: int
    updated_us: int
    attributes: Attributes

    @property
    def is_versioned(self) -> bool:
        return self.attributes.get("versioning", {}).get("enabled") is True

    @property
    def version(self) -> MetagenerationOf:
        return MetagenerationOf(self.metageneration)


def _bucket(row: sqlite3.Row) -> Bucket:
    return Bucket(
        name=BucketName(row["name"]),
        project=row["project"],
        metageneration=row["metageneration"],
        created_us=row["created_us"],
        updated_us=row["updated_us"],
        attributes=json.loads(row["attributes"]),
    )


class Buckets:
    """The buckets of all projects. Every method is one transaction; CloudError where Google refuses."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def create(self, project: str, resource: Mapping[str, Any]) -> Bucket:
        name = bucket_name(resource.get("name"))
        attributes = _DEFAULTS | bucket_attributes(resource)
        attributes["location"] = attributes["location"].upper()
        now_us = self._clock()
        sql = """INSERT INTO buckets (name, project, metageneration, created_us, updated_us, attributes)
                 VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING"""
        row = (name, project, now_us, now_us, json.dumps(attributes))
        if self._connection.execute(sql, row).rowcount == 0:
            raise bucket_exists()
        return self.get(name)

    def get(self, name: str) -> Bucket:
        row = self._connection.execute("SELECT * FROM buckets WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise bucket_not_found()
        return _bucket(row)

    def of_project(self, project: str, prefix: str, start: str, limit: int) -> tuple[list[Bucket], str | None]:
        """Up to `limit` buckets in the order of their names from `start` on, and where the next page starts."""
        sql = "SELECT * FROM buckets WHERE project = ? AND name >= ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?"
        rows = self._connection.execute(sql, (project, start, len(prefix), prefix, limit + 1)).fetchall()
        following = rows[limit]["name"] if len(rows) > limit else None
        return [_bucket(row) for row in rows[:limit]], following

    def patch(self, name: str, patch: Mapping[str, Any], preconditions: Preconditions) -> Bucket:
        changes = bucket_changes(patch)
        return self._change(name, lambda attributes: bucket_attributes(merged(attributes, changes)), preconditions)

    def replace(self, name: str, resource: Mapping[str, Any], preconditions: Preconditions) -> Bucket:
        replacement = _DEFAULTS | bucket_attributes(resource)
        return self._change(name, lambda old: replacement | {"location": old["location"]}, preconditions)

    def _change(self, name: str, change: Callable[[Attributes], Attributes], preconditions: Preconditions) -> Bucket:
        with transaction(self._connection):
            bucket = self.get(name)
            preconditions.check_write(bucket.version)
            sql = (
                "UPDATE buckets SET attributes = ?, metageneration = metageneration + 1, updated_us = ? WHERE name = ?"
            )
            self._connection.execute(sql, (json.dumps(change(bucket.attributes)), self._clock(), name))
            return self.get(name)

    def delete(self, name: str, preconditions: Preconditions) -> None:
        with transaction(self._connection):
            preconditions.check_write(self.get(name).version)
            if self._connection.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,)).fetchone():
                raise bucket_not_empty()
            self._connection.execute("DELETE FROM buckets WHERE name = ?", (name,))
            self._connection.execute("DELETE FROM notifications WHERE bucket = ?", (name,))
