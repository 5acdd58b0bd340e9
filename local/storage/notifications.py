"""Notification configurations, and the outbox rows that every change of an object leaves in its own transaction.

object row ┐
outbox row ┴ one commit ──► delivery publishes ──► outbox row deleted      (crash in between: published again)
"""

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from local.storage.database import Clock, transaction
from local.storage.errors import bucket_not_found, invalid, notification_not_found, required
from local.storage.names import BucketName, NotificationId
from local.storage.resources import etag, object_resource, rfc3339
from local.storage.stored import StoredObject

_TOPIC = re.compile(r"(?://pubsub\.googleapis\.com/)?(projects/[^/]+/topics/[^/]+)")
_PAYLOAD_FORMATS = ("JSON_API_V1", "NONE")
# https://cloud.google.com/storage/quotas#notifications
_LIMIT_PER_BUCKET = 100
_LIMIT_PER_EVENT_TYPE = 10


class EventType(StrEnum):
    """What can happen to an object; the values are those of the attribute `eventType`."""

    FINALIZE = "OBJECT_FINALIZE"
    METADATA_UPDATE = "OBJECT_METADATA_UPDATE"
    DELETE = "OBJECT_DELETE"
    ARCHIVE = "OBJECT_ARCHIVE"


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one object; `overwrote` and `overwritten_by` are generations of the same name."""

    type: EventType
    object: StoredObject
    overwrote: int | None = None
    overwritten_by: int | None = None


class Notifications:
    """The configurations of all buckets. CloudError where refused."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, base_url: str) -> None:
        self._connection = connection
        self._clock = clock
        self._base_url = base_url

    def create(self, bucket: str, resource: Mapping[str, Any]) -> dict[str, Any]:
        config = _checked(resource)
        with transaction(self._connection):
            self._require_room(bucket, config)
            sql = """UPDATE buckets SET last_notification = last_notification + 1, metageneration = metageneration + 1,
                     updated_us = ? WHERE name = ? RETURNING last_notification"""
            [row] = self._connection.execute(sql, (self._clock(), bucket)).fetchall()
            created = self._numbered(bucket, row["last_notification"], config)
            values = (bucket, row["last_notification"], _topic_path(created["topic"]), json.dumps(created))
            self._connection.execute("INSERT INTO notifications VALUES (?, ?, ?, ?)", values)
        return created

    def _require_room(self, bucket: str, config: Mapping[str, Any]) -> None:
        existing = self.of_bucket(bucket)
        if len(existing) >= _LIMIT_PER_BUCKET:
            raise invalid(f"A bucket has at most {_LIMIT_PER_BUCKET} notification configurations.")
        for event_type in EventType:
            same = sum(_wants_type(other, event_type) for other in existing)
            if _wants_type(config, event_type) and same >= _LIMIT_PER_EVENT_TYPE:
                raise invalid(f"A bucket has at most {_LIMIT_PER_EVENT_TYPE} configurations for {event_type}.")

    def _numbered(self, bucket: str, number: int, config: Mapping[str, Any]) -> dict[str, Any]:
        identity = {
            "kind": "storage#notification",
            "id": str(number),
            "selfLink": f"{self._base_url}/storage/v1/b/{bucket}/notificationConfigs/{number}",
            "etag": etag(0, number),
        }
        return {**identity, **config}

    def of_bucket(self, bucket: str) -> list[dict[str, Any]]:
        self._require_bucket(bucket)
        rows = self._connection.execute("SELECT resource FROM notifications WHERE bucket = ? ORDER BY id", (bucket,))
        return [json.loads(row["resource"]) for row in rows]

    def _require_bucket(self, bucket: str) -> None:
        if self._connection.execute("SELECT 1 FROM buckets WHERE name = ?", (bucket,)).fetchone() is None:
            raise bucket_not_found()

    def get(self, bucket: str, notification_id: NotificationId) -> dict[str, Any]:
        found = [config for config in self.of_bucket(bucket) if config["id"] == notification_id]
        if not found:
            raise notification_not_found(bucket, notification_id)
        return found[0]

    def delete(self, bucket: str, notification_id: NotificationId) -> None:
        with transaction(self._connection):
            number = int(self.get(bucket, notification_id)["id"])
            self._connection.execute("DELETE FROM notifications WHERE bucket = ? AND id = ?", (bucket, number))
            sql = "UPDATE buckets SET metageneration = metageneration + 1, updated_us = ? WHERE name = ?"
            self._connection.execute(sql, (self._clock(), bucket))

    def record(self, event: Event) -> list[str]:
        """Leave one outbox row per configuration that wants the event, in the caller's transaction; their topics."""
        bucket = event.object.bucket
        rows = self._connection.execute("SELECT topic, resource FROM notifications WHERE bucket = ?", (bucket,))
        wanting = [(row["topic"], config) for row in rows if _wants(config := json.loads(row["resource"]), event)]
        for topic, config in wanting:
            self._put_out(topic, config, event)
        return [topic for topic, _ in wanting]

    def _put_out(self, topic: str, config: Mapping[str, Any], event: Event) -> None:
        now_us = self._clock()
        attributes = json.dumps(_attributes(config, event, now_us))
        is_json = config["payload_format"] == "JSON_API_V1"
        data = json.dumps(object_resource(event.object, self._base_url)).encode() if is_json else b""
        sql = "INSERT INTO outbox (topic, created_us, attributes, data) VALUES (?, ?, ?, ?)"
        self._connection.execute(sql, (topic, now_us, attributes, data))


def _attributes(config: Mapping[str, Any], event: Event, now_us: int) -> dict[str, str]:
    bucket: BucketName = event.object.bucket
    attributes = {
        **config.get("custom_attributes", {}),
        "notificationConfig": f"projects/_/buckets/{bucket}/notificationConfigs/{config['id']}",
        "eventType": event.type.value,
        "payloadFormat": config["payload_format"],
        "bucketId": bucket,
        "objectId": event.object.name,
        "objectGeneration": str(event.object.generation),
        "eventTime": rfc3339(now_us, digits=6),
    }
    if event.overwrote is not None:
        attributes["overwroteGeneration"] = str(event.overwrote)
    if event.overwritten_by is not None:
        attributes["overwrittenByGeneration"] = str(event.overwritten_by)
    return attributes


def _wants(config: Mapping[str, Any], event: Event) -> bool:
    return _wants_type(config, event.type) and _wants_name(config, event.object.name)


def _wants_type(config: Mapping[str, Any], event_type: EventType) -> bool:
    """A configuration without event types wants all of them."""
    return event_type.value in config.get("event_types", tuple(EventType))


def _wants_name(config: Mapping[str, Any], name: str) -> bool:
    prefix: str = config.get("object_name_prefix", "")
    return name.startswith(prefix)


def _topic_path(topic: str) -> str:
    match = _TOPIC.fullmatch(topic)
    if match is None:
        raise invalid(f"Invalid topic: {topic!r:.128}; it must be //pubsub.googleapis.com/projects/P/topics/T")
    return match[1]


def _checked(resource: Mapping[str, Any]) -> dict[str, Any]:
    topic, payload_format = resource.get("topic"), resource.get("payload_format")
    if not isinstance(topic, str):
        raise required("topic")
    if payload_format not in _PAYLOAD_FORMATS:
        raise invalid(f"payload_format: must be one of {', '.join(_PAYLOAD_FORMATS)}")
    _require_event_types(resource.get("event_types"))
    _require_texts(resource.get("custom_attributes"))
    if not isinstance(resource.get("object_name_prefix") or "", str):
        raise invalid("object_name_prefix: must be a string")
    optional = ("event_types", "custom_attributes", "object_name_prefix")
    topic = f"//pubsub.googleapis.com/{_topic_path(topic)}"
    given = {field: resource[field] for field in optional if resource.get(field)}
    return {"topic": topic, "payload_format": payload_format} | given


def _require_event_types(event_types: object) -> None:
    if event_types is None:
        return
    if not isinstance(event_types, list) or any(event_type not in list(EventType) for event_type in event_types):
        raise invalid(f"event_types: must be a list of {', '.join(EventType)}")


def _require_texts(custom_attributes: object) -> None:
    if custom_attributes is None:
        return
    if not isinstance(custom_attributes, dict) or not all(isinstance(text, str) for text in custom_attributes.values()):
        raise invalid("custom_attributes: must be an object of strings")
