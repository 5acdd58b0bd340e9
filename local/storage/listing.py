"""Listings in the order of UTF-8 bytes, which is how SQLite compares text, so that a page is a walk along the index.

With a delimiter the walk jumps over everything below a common prefix instead of reading it.
"""

import base64
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from local.storage.errors import invalid
from local.storage.stored import COLUMNS, StoredObject, object_of_row

PAGE_LIMIT = 1000
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class Position:
    """The first thing a page may hold: this generation of this name, or whatever follows."""

    name: str = ""
    generation: int = 0

    def token(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.name, self.generation]).encode()).decode()


def position_of_token(token: str) -> Position:
    """CloudError 400 when the token is none of ours."""
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token.encode()))
        position = Position(name, generation)
        position.name.encode()
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise invalid("Invalid page token") from None
    if type(generation) is not int or generation.bit_length() > 63:
        raise invalid("Invalid page token")
    return position


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list: names from `start_offset` up to but not including `end_offset`, all generations if `versions`."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    start_offset: str = ""
    end_offset: str | None = None
    versions: bool = False
    limit: int = PAGE_LIMIT
    position: Position = Position()


@dataclass(frozen=True, slots=True)
class Page:
    """Up to `limit` objects and common prefixes, and where the next page starts (None: nowhere)."""

    items: list[StoredObject]
    prefixes: list[str]
    following: Position | None


def list_objects(connection: sqlite3.Connection, query: ListQuery) -> Page:
    """One page of a listing."""
    items: list[StoredObject] = []
    prefixes: list[str] = []
    for position, entry in _entries(connection, query):
        if len(items) + len(prefixes) == query.limit:
            return Page(items, prefixes, position)
        if isinstance(entry, str):
            prefixes.append(entry)
        else:
            items.append(entry)
    return Page(items, prefixes, None)


def _entries(connection: sqlite3.Connection, query: ListQuery) -> Iterator[tuple[Position, StoredObject | str]]:
    """Objects, and common prefixes once each, with the position each stands at."""
    position: Position | None = max(
        query.position,
        Position(max(query.prefix, query.start_offset)),
        key=lambda start: (start.name, start.generation),
    )
    while position is not None:
        jump_over = None
        for stored in _walk(connection, query, position):
            common = _common_prefix(stored.name, query)
            if common is not None:
                yield Position(stored.name, stored.generation), common
                jump_over = common
                break
            yield Position(stored.name, stored.generation), stored
        after = None if jump_over is None else successor(jump_over)
        position = None if after is None else Position(after)


def _common_prefix(name: str, query: ListQuery) -> str | None:
    if not query.delimiter:
        return None
    at = name.find(query.delimiter, len(query.prefix))
    return None if at < 0 else name[: at + len(query.delimiter)]


def _walk(connection: sqlite3.Connection, query: ListQuery, start: Position) -> Iterator[StoredObject]:
    sql = f"SELECT {COLUMNS} FROM objects WHERE bucket = ?"
    values: list[str | int] = [query.bucket]
    if query.versions:
        sql += " AND (name, generation) >= (?, ?)"
        values += [start.name, start.generation]
    else:
        sql += " AND deleted_us IS NULL AND name >= ?"
        values += [start.name]
    for end in (successor(query.prefix), query.end_offset):
        if end is not None:
            sql += " AND name < ?"
            values += [end]
    sql += " ORDER BY name, generation LIMIT ?"
    for row in connection.execute(sql, (*values, query.limit + 1)):
        yield object_of_row(row)


def successor(prefix: str) -> str | None:
    """The smallest text above every text that begins with `prefix`; None when there is none."""
    while prefix:
        code_point = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if code_point <= _LAST_CODE_POINT:
            return prefix + chr(_SURROGATES.stop if code_point in _SURROGATES else code_point)
    return None
