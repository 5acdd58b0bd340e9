"""The state machine of Pub/Sub: who gets which message, when, and how often.

published ─► one delivery per subscription whose filter lets it through
delivery: waiting ─ lease ─► out ─ ack ─► gone
             ▲                 ├ nack, after the retry policy's backoff ─┐
             └─────────────────┴ lease over ─────────────────────────────┘   … too often ─► the dead-letter topic
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.pubsub_v1 import types

from local.errors import CloudError, Status
from local.pubsub import database, filters, limits

Topic = types.Topic.pb()
Subscription = types.Subscription.pb()
PubsubMessage = types.PubsubMessage.pb()

DEFAULT_ACK_SECONDS = 10
MAX_ACK_SECONDS = 600
DEFAULT_RETENTION_SECONDS = 7 * 86_400
_DEFAULT_BACKOFF_SECONDS = (10.0, 600.0)
# Without a retry policy Google delivers again at once; a loop without a pause would burn a laptop.
_FLOOR_SECONDS = 0.1
_FOREVER_SECONDS = 3600.0


@dataclass(frozen=True)
class Delivery:
    """A message out on a lease."""

    subscription: str
    message_id: int
    attempt: int
    message: Any

    @property
    def ack_id(self) -> str:
        return f"{self.subscription}#{self.message_id}#{self.attempt}"


class State:
    """Everything Pub/Sub knows; safe for threads."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = database.opened(folder)
        self._clock = clock
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._filters: dict[str, filters.Test] = {}
        self._subscriptions: dict[str, Any] = {}
        for name, proto in self._database.execute("SELECT name, proto FROM subscriptions"):
            self._remember(name, Subscription.FromString(proto))

    def close(self) -> None:
        with self._lock:
            self._database.close()

    # Topics

    def create_topic(self, topic: Any) -> Any:
        limits.check_name(topic.name, "topics")
        with self._lock:
            if self._topic(topic.name) is not None:
                raise CloudError(Status.ALREADY_EXISTS, f"Topic already exists: {topic.name}")
            self._database.execute("INSERT INTO topics VALUES (?, ?)", (topic.name, topic.SerializeToString()))
            return topic

    def topic(self, name: str) -> Any:
        with self._lock:
            found = self._topic(name)
        if found is None:
            raise CloudError(Status.NOT_FOUND, f"Topic not found (resource={name.rsplit('/', 1)[-1]}).")
        return found

    def topics(self, project: str) -> list[Any]:
        with self._lock:
            rows = self._database.execute(
                "SELECT proto FROM topics WHERE name LIKE ? ORDER BY name", (f"{project}/topics/%",)
            ).fetchall()
        return [Topic.FromString(proto) for (proto,) in rows]

    def delete_topic(self, name: str) -> None:
        self.topic(name)
        with self._lock:
            self._database.execute("DELETE FROM topics WHERE name = ?", (name,))

    def update_topic(self, topic: Any, paths: Sequence[str]) -> Any:
        with self._lock:
            changed = _masked(self.topic(topic.name), topic, paths)
            self._database.execute(
                "UPDATE topics SET proto = ? WHERE name = ?", (changed.SerializeToString(), topic.name)
            )
            return changed

    # Subscriptions

    def create_subscription(self, subscription: Any) -> Any:
        limits.check_name(subscription.name, "subscriptions")
        if not subscription.ack_deadline_seconds:
            subscription.ack_deadline_seconds = DEFAULT_ACK_SECONDS
        if not subscription.message_retention_duration.seconds:
            subscription.message_retention_duration.seconds = DEFAULT_RETENTION_SECONDS
        _check_subscription(subscription)
        with self._lock:
            self.topic(subscription.topic)
            if subscription.name in self._subscriptions:
                raise CloudError(Status.ALREADY_EXISTS, f"Subscription already exists: {subscription.name}")
            self._remember(subscription.name, subscription)
            self._keep(subscription)
            return subscription

    def subscription(self, name: str) -> Any:
        with self._lock:
            if name not in self._subscriptions:
                raise CloudError(Status.NOT_FOUND, f"Subscription does not exist (resource={name.rsplit('/', 1)[-1]}).")
            return self._subscriptions[name]

    def subscriptions(self, project: str = "", topic: str = "") -> list[Any]:
        with self._lock:
            every = [self._subscriptions[name] for name in sorted(self._subscriptions)]
        return [each for each in every if each.name.startswith(project) and topic in ("", each.topic)]

    def update_subscription(self, subscription: Any, paths: Sequence[str]) -> Any:
        with self._lock:
            if "filter" in paths or "topic" in paths:
                raise CloudError(Status.INVALID_ARGUMENT, "The filter and the topic of a subscription cannot change.")
            changed = _masked(self.subscription(subscription.name), subscription, paths)
            _check_subscription(changed)
            self._remember(changed.name, changed)
            self._keep(changed)
            return changed

    def delete_subscription(self, name: str) -> None:
        self.subscription(name)
        with self._lock:
            del self._subscriptions[name], self._filters[name]
            self._database.execute("DELETE FROM subscriptions WHERE name = ?", (name,))
            self._database.execute("DELETE FROM deliveries WHERE subscription = ?", (name,))
            self.changed.notify_all()

    # Messages

    def publish(self, topic: str, messages: Sequence[Any]) -> list[str]:
        """Keeps the messages for every subscription that wants them; answers their ids once they are kept."""
        limits.check_messages(messages)
        with self._lock:
            self.topic(topic)
            self._database.execute("BEGIN IMMEDIATE")
            try:
                ids = [self._insert(topic, message) for message in messages]
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
            self.changed.notify_all()
            return ids

    def lease(self, name: str, most: int) -> list[Delivery]:
        """Up to `most` messages that are due, each out for the subscription's ack deadline."""
        with self._lock:
            subscription = self.subscription(name)
            now = self._clock()
            rows = self._database.execute(
                "SELECT d.message, d.attempt, m.proto, m.published"
                " FROM deliveries d JOIN messages m ON m.id = d.message"
                " WHERE d.subscription = ? AND d.available <= ? ORDER BY d.message LIMIT ?",
                (name, now, most),
            ).fetchall()
            kept = []
            for message, attempt, proto, published in rows:
                if now - published > subscription.message_retention_duration.seconds:
                    self._drop(name, message)
                elif self._exhausted(subscription, attempt):
                    self._bury(subscription, message, attempt, proto)
                else:
                    until = now + subscription.ack_deadline_seconds
                    self._set(name, message, attempt + 1, until)
                    kept.append(Delivery(name, message, attempt + 1, PubsubMessage.FromString(proto)))
            return kept

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Ends deliveries; one whose lease was given again meanwhile is left to its newer holder."""
        with self._lock:
            for name, message, _ in self._current(ack_ids):
                self._drop(name, message)
            self.changed.notify_all()

    def extend(self, ack_ids: Iterable[str], seconds: int) -> None:
        """Moves the end of leases; 0 s gives the message back."""
        with self._lock:
            for name, message, attempt in self._current(ack_ids):
                if seconds:
                    self._set(name, message, attempt, self._clock() + seconds)
                else:
                    self._give_back(self.subscription(name), message, attempt)
            self.changed.notify_all()

    def next_due_seconds(self, name: str) -> float:
        """How long until something of a subscription may be due; at most an hour."""
        with self._lock:
            (first,) = self._database.execute(
                "SELECT MIN(available) FROM deliveries WHERE subscription = ?", (name,)
            ).fetchone()
        return _FOREVER_SECONDS if first is None else max(0.0, min(first - self._clock(), _FOREVER_SECONDS))

    # The parts

    def _topic(self, name: str) -> Any:
        row = self._database.execute("SELECT proto FROM topics WHERE name = ?", (name,)).fetchone()
        return None if row is None else Topic.FromString(row[0])

    def _remember(self, name: str, subscription: Any) -> None:
        self._filters[name] = filters.parse(subscription.filter)
        self._subscriptions[name] = subscription

    def _keep(self, subscription: Any) -> None:
        row = (subscription.name, subscription.topic, subscription.SerializeToString())
        self._database.execute("INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?)", row)
        self.changed.notify_all()

    def _insert(self, topic: str, message: Any) -> str:
        now = self._clock()
        attributes = dict(message.attributes)
        heard = [each.name for each in self.subscriptions(topic=topic) if self._filters[each.name](attributes)]
        made = self._database.execute("INSERT INTO messages (topic, published, proto) VALUES (?, ?, x'')", (topic, now))
        number = int(made.lastrowid or 0)
        kept = PubsubMessage()
        kept.CopyFrom(message)
        kept.message_id = str(number)
        kept.publish_time.FromNanoseconds(int(now * 1e9))
        if heard:
            self._database.execute("UPDATE messages SET proto = ? WHERE id = ?", (kept.SerializeToString(), number))
            self._database.executemany("INSERT INTO deliveries VALUES (?, ?, 0, 0)", [(name, number) for name in heard])
        else:
            self._database.execute("DELETE FROM messages WHERE id = ?", (number,))
        return kept.message_id  # type: ignore[no-any-return]

    def _current(self, ack_ids: Iterable[str]) -> list[tuple[str, int, int]]:
        named = (ack_id.rsplit("#", 2) for ack_id in ack_ids)
        leases = [(parts[0], int(parts[1]), int(parts[2])) for parts in named if len(parts) == 3]
        return [lease for lease in leases if self._attempt(lease[0], lease[1]) == lease[2]]

    def _attempt(self, name: str, message: int) -> int | None:
        row = self._database.execute(
            "SELECT attempt FROM deliveries WHERE subscription = ? AND message = ?", (name, message)
        ).fetchone()
        return None if row is None else int(row[0])

    def _set(self, name: str, message: int, attempt: int, available: float) -> None:
        self._database.execute(
            "UPDATE deliveries SET attempt = ?, available = ? WHERE subscription = ? AND message = ?",
            (attempt, available, name, message),
        )

    def _give_back(self, subscription: Any, message: int, attempt: int) -> None:
        wait = 0.0 if self._exhausted(subscription, attempt) else backoff_seconds(subscription, attempt)
        self._set(subscription.name, message, attempt, self._clock() + wait)

    def _drop(self, name: str, message: int) -> None:
        self._database.execute("DELETE FROM deliveries WHERE subscription = ? AND message = ?", (name, message))
        self._database.execute(
            "DELETE FROM messages WHERE id = ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message = ?)",
            (message, message),
        )

    def _exhausted(self, subscription: Any, attempt: int) -> bool:
        policy = subscription.dead_letter_policy
        return bool(policy.dead_letter_topic) and attempt >= (policy.max_delivery_attempts or 5)

    def _bury(self, subscription: Any, message: int, attempt: int, proto: bytes) -> None:
        """Moves a message to the dead-letter topic in one transaction; without that topic it stays where it is."""
        target = subscription.dead_letter_policy.dead_letter_topic
        if self._topic(target) is None:
            return
        letter = PubsubMessage.FromString(proto)
        project, _, short = subscription.name.removeprefix("projects/").partition("/subscriptions/")
        source = "CloudPubSubDeadLetterSource"
        letter.attributes[f"{source}Subscription"] = short
        letter.attributes[f"{source}SubscriptionProject"] = project
        letter.attributes[f"{source}DeliveryCount"] = str(attempt)
        letter.attributes[f"{source}TopicPublishTime"] = letter.publish_time.ToJsonString()
        self._database.execute("BEGIN IMMEDIATE")
        self._insert(target, letter)
        self._drop(subscription.name, message)
        self._database.execute("COMMIT")
        self.changed.notify_all()


def backoff_seconds(subscription: Any, attempt: int) -> float:
    """How long a message waits after this many attempts: doubling from the policy's minimum to its maximum."""
    if not subscription.HasField("retry_policy"):
        return _FLOOR_SECONDS
    policy = subscription.retry_policy
    least, most = _DEFAULT_BACKOFF_SECONDS
    if policy.HasField("minimum_backoff"):
        least = policy.minimum_backoff.ToTimedelta().total_seconds()
    if policy.HasField("maximum_backoff"):
        most = policy.maximum_backoff.ToTimedelta().total_seconds()
    return float(min(max(most, _FLOOR_SECONDS), max(least, _FLOOR_SECONDS) * 2 ** min(attempt - 1, 20)))


def _check_subscription(subscription: Any) -> None:
    filters.parse(subscription.filter)
    if not DEFAULT_ACK_SECONDS <= subscription.ack_deadline_seconds <= MAX_ACK_SECONDS:
        raise CloudError(Status.INVALID_ARGUMENT, f"The ack deadline must be 10 to {MAX_ACK_SECONDS} seconds.")
    attempts = subscription.dead_letter_policy.max_delivery_attempts
    if attempts and not 5 <= attempts <= 100:
        raise CloudError(Status.INVALID_ARGUMENT, "The maximum of delivery attempts must be 5 to 100.")


def _masked(standing: Any, wanted: Any, paths: Sequence[str]) -> Any:
    """A copy of what stands with the named fields of what is wanted."""
    changed = type(standing)()
    changed.CopyFrom(standing)
    for path in paths:
        field = path.split(".")[0]
        if field not in standing.DESCRIPTOR.fields_by_name:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid update mask: {path}")
        changed.ClearField(field)
        only = type(standing)()
        only.CopyFrom(wanted)
        for other in standing.DESCRIPTOR.fields_by_name:
            if other != field:
                only.ClearField(other)
        changed.MergeFrom(only)
    return changed
