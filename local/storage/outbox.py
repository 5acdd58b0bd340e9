"""The notifications that Pub/Sub has not yet confirmed."""

import json
import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message as it will be published."""

    id: int
    attributes: dict[str, str]
    data: bytes


class Outbox:
    """Messages in the order of their commits, per topic; they stay until `confirm`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def topics(self) -> list[str]:
        return [row["topic"] for row in self._connection.execute("SELECT DISTINCT topic FROM outbox")]

    def oldest(self, topic: str, limit: int) -> list[Outgoing]:
        sql = "SELECT id, attributes, data FROM outbox WHERE topic = ? ORDER BY id LIMIT ?"
        rows = self._connection.execute(sql, (topic, limit)).fetchall()
        return [Outgoing(row["id"], json.loads(row["attributes"]), row["data"]) for row in rows]

    def confirm(self, topic: str, last_id: int) -> None:
        """Forget the topic's messages up to `last_id`."""
        self._connection.execute("DELETE FROM outbox WHERE topic = ? AND id <= ?", (topic, last_id))

    def expire(self, before_us: int) -> None:
        """Forget what could not be published for too long, as Google does."""
        self._connection.execute("DELETE FROM outbox WHERE created_us < ?", (before_us,))
