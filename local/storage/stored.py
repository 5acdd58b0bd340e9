"""One generation of an object as it is stored: the value that state, wire and notifications hand to each other."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from local.storage.attributes import Attributes
from local.storage.names import BucketName, Generation, ObjectName


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`id` names its row, `file` its bytes (None: they are in SQLite), `deleted_us` is None while it is live."""

    id: int
    bucket: BucketName
    name: ObjectName
    generation: Generation
    metageneration: int
    size_bytes: int
    crc32c: str
    md5: str
    created_us: int
    updated_us: int
    deleted_us: int | None
    file: str | None
    attributes: Attributes

    @property
    def content_type(self) -> str:
        content_type: str = self.attributes.get("contentType", "application/octet-stream")
        return content_type

    def encoded(self) -> str:
        return json.dumps(asdict(self))


def object_of_row(row: sqlite3.Row) -> StoredObject:
    fields: list[Any] = list(row)
    fields[-1] = json.loads(fields[-1])
    return StoredObject(*fields)


def decoded_object(text: str) -> StoredObject:
    fields: dict[str, Any] = json.loads(text)
    return StoredObject(**fields)


# In the order of StoredObject's fields.
COLUMNS = """id, bucket, name, generation, metageneration, size_bytes, crc32c, md5, created_us, updated_us, deleted_us,
 file, attributes"""
