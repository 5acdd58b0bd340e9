"""Topics, subscriptions and the way of a message from one to the others; everything in one event loop.

publish ─► kept in the database, once, with one delivery for each subscription whose filter lets it through
        ─► (committed) ─► the subscriptions' backlogs ─► push, pull, streaming pull
        ─► (nobody waits for it any more) ─► gone
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from google.pubsub_v1 import types

from local.errors import CloudError, Status
from local.pubsub import limits, settings
from local.pubsub.database import Database
from local.pubsub.subscription import Subscription

_Topic = types.Topic.pb()
_Config = types.Subscription.pb()
_Message = types.PubsubMessage.pb()
_SWEEP_SECONDS = 60.0
_DELETED_TOPIC = "_deleted-topic_"  # what Google shows as the topic of a subscription that has lost it
_LETTER = "CloudPubSubDeadLetterSource"


@dataclass(frozen=True, slots=True)
class _Posted:
    message: int
    published: float
    size: int
    hearers: tuple[Subscription, ...]


class Broker:
    """Everything that Pub/Sub knows. What a method has done is safe from a kill once `kept` has returned."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.time,
        least_ack_seconds: int = settings.DEFAULT_ACK_SECONDS,
    ) -> None:
        self._database = Database(folder)
        self._clock = clock
        self._least_ack_seconds = least_ack_seconds
        self._topics: dict[str, Any] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._hearers: dict[str, list[Subscription]] = {}
        self._waited_for: dict[int, int] = {}
        self._last_message = 0
        self._on_subscription: Callable[[Subscription], None] = lambda _subscription: None
        self._load()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep_again)

    async def kept(self) -> None:
        """Returns once everything done in this turn of the event loop is committed."""
        await self._database.kept()

    def close(self) -> None:
        self._sweeper.cancel()
        for subscription in self._subscriptions.values():
            subscription.close()
        self._database.close()

    def attend(self, act: Callable[[Subscription], None]) -> None:
        """Acts on every subscription there is and on each that is made later."""
        self._on_subscription = act
        for subscription in self._subscriptions.values():
            act(subscription)

    # Topics

    def create_topic(self, topic: Any) -> Any:
        limits.check_name(topic.name, "topics")
        settings.check_topic(topic)
        if topic.name in self._topics:
            _exists(topic.name)
        return self._keep_topic(topic)

    def topic(self, name: str) -> Any:
        limits.check_name(name, "topics")
        if name not in self._topics:
            _missing(name)
        return self._topics[name]

    def topics(self, project: str) -> list[Any]:
        limits.check_project(project)
        return [self._topics[name] for name in sorted(self._topics) if name.startswith(f"{project}/")]

    def update_topic(self, topic: Any, mask: Any) -> Any:
        changed = settings.masked(self.topic(topic.name), topic, mask)
        settings.check_topic(changed)
        return self._keep_topic(changed)

    def delete_topic(self, name: str) -> None:
        """Deletes a topic; its subscriptions stay, with what they still have to deliver."""
        self.topic(name)
        for subscription in self._hearers.pop(name, []):
            orphaned = _Config()
            orphaned.CopyFrom(subscription.config)
            orphaned.topic = _DELETED_TOPIC
            self._keep_subscription(subscription, orphaned)
        del self._topics[name]
        self._database.write("DELETE FROM topics WHERE name = ?", name)

    # Subscriptions

    def create_subscription(self, config: Any) -> Any:
        limits.check_name(config.name, "subscriptions")
        complete = self._completed(config)
        self.topic(config.topic)
        if config.name in self._subscriptions:
            _exists(config.name)
        self._database.write(
            "INSERT INTO subscriptions (name, proto) VALUES (?, ?)", config.name, complete.SerializeToString()
        )
        rows = self._database.read("SELECT number FROM subscriptions WHERE name = ?", config.name)
        subscription = self._add(int(rows[0][0]), complete)
        self._on_subscription(subscription)
        return complete

    def subscription(self, name: str) -> Subscription:
        limits.check_name(name, "subscriptions")
        if name not in self._subscriptions:
            _missing(name)
        return self._subscriptions[name]

    def subscriptions(self, project: str) -> list[Any]:
        limits.check_project(project)
        names = sorted(name for name in self._subscriptions if name.startswith(f"{project}/"))
        return [self._subscriptions[name].config for name in names]

    def subscriptions_of(self, topic: str) -> list[str]:
        self.topic(topic)
        return sorted(each.name for each in self._hearers.get(topic, []))

    def update_subscription(self, wanted: Any, mask: Any) -> Any:
        subscription = self.subscription(wanted.name)
        changed = settings.masked_subscription(subscription.config, wanted, mask)
        complete = self._completed(changed, subscription.config.dead_letter_policy.dead_letter_topic)
        self._keep_subscription(subscription, complete)
        return complete

    def delete_subscription(self, name: str) -> None:
        subscription = self.subscription(name)
        del self._subscriptions[name]
        if subscription in (hearers := self._hearers.get(subscription.config.topic, [])):
            hearers.remove(subscription)
        self._database.write("DELETE FROM subscriptions WHERE number = ?", subscription.number)
        self._database.write("DELETE FROM deliveries WHERE subscription = ?", subscription.number)
        subscription.delete()

    # Messages

    def publish(self, request: Any) -> list[str]:
        """Keeps the messages for every subscription that wants them; they are delivered once they are kept."""
        self.topic(request.topic)
        limits.check_publish(request)
        posted = [self._post(request.topic, message) for message in request.messages]
        self._database.on_kept(lambda: self._deliver(posted))
        return [str(each.message) for each in posted]

    def release(self, message: int) -> None:
        left = self._waited_for.get(message, 1) - 1
        if left > 0:
            self._waited_for[message] = left
            return
        self._waited_for.pop(message, None)
        self._database.write("DELETE FROM messages WHERE id = ?", message)

    def bury(self, subscription: Subscription, message: int, attempt: int) -> bool:
        topic = subscription.config.dead_letter_policy.dead_letter_topic
        if topic not in self._topics:
            return False
        posted = self._post(topic, _dead_letter(subscription, self._database.message(message), attempt))
        self._database.on_kept(lambda: self._deliver([posted]))
        return True

    def sweep(self) -> None:
        """Drops what is older than its subscription keeps it."""
        for subscription in self._subscriptions.values():
            subscription.drop_expired()

    # The parts

    def _completed(self, config: Any, known_letters: str = "") -> Any:
        """A subscription's settings, checked; a dead-letter topic must be there when it is named, and may go later."""
        complete = settings.completed(config, self._least_ack_seconds)
        letters = complete.dead_letter_policy.dead_letter_topic
        if letters != known_letters and letters and letters not in self._topics:
            raise CloudError(Status.NOT_FOUND, "Dead letter topic not found")
        return complete

    def _post(self, topic: str, message: Any) -> _Posted:
        now = self._clock()
        # Microseconds, so that a number is never given twice, also after the last message was deleted and a restart.
        self._last_message = number = max(self._last_message + 1, int(now * 1e6))
        attributes = dict(message.attributes)
        hearers = tuple(each for each in self._hearers.get(topic, ()) if each.passes(attributes))
        message.message_id = str(number)
        message.publish_time.FromMicroseconds(int(now * 1e6))
        proto = message.SerializeToString()
        if hearers:
            self._database.write("INSERT INTO messages VALUES (?, ?, ?)", number, now, proto)
            for each in hearers:
                self._database.write("INSERT INTO deliveries VALUES (?, ?, 0)", each.number, number)
        return _Posted(number, now, len(proto), hearers)

    def _deliver(self, posted: Sequence[_Posted]) -> None:
        woken: dict[int, Subscription] = {}
        for each in posted:
            hearers = [hearer for hearer in each.hearers if not hearer.deleted]
            self._waited_for[each.message] = len(hearers)
            if not hearers:
                self.release(each.message)
            for hearer in hearers:
                hearer.put(each.message, each.published, each.size)
                woken[hearer.number] = hearer
        for hearer in woken.values():
            hearer.wake()

    def _keep_topic(self, topic: Any) -> Any:
        self._topics[topic.name] = topic
        self._database.write("INSERT OR REPLACE INTO topics VALUES (?, ?)", topic.name, topic.SerializeToString())
        return topic

    def _keep_subscription(self, subscription: Subscription, config: Any) -> None:
        proto = config.SerializeToString()
        self._database.write("UPDATE subscriptions SET proto = ? WHERE number = ?", proto, subscription.number)
        subscription.configure(config)

    def _add(self, number: int, config: Any) -> Subscription:
        subscription = Subscription(number, config, self._database, self, self._clock)
        self._subscriptions[config.name] = subscription
        self._hearers.setdefault(config.topic, []).append(subscription)
        return subscription

    def _load(self) -> None:
        for name, proto in self._database.read("SELECT name, proto FROM topics"):
            self._topics[str(name)] = _Topic.FromString(proto)
        numbered: dict[int, Subscription] = {}
        for number, proto in self._database.read("SELECT number, proto FROM subscriptions"):
            numbered[int(number)] = self._add(int(number), _Config.FromString(proto))
        for number, message, attempt, published, size in self._waiting():
            numbered[number].put(message, published, size, attempt)
            self._waited_for[message] = self._waited_for.get(message, 0) + 1
            self._last_message = max(self._last_message, message)

    def _waiting(self) -> Iterator[tuple[int, int, int, float, int]]:
        rows = self._database.read(
            "SELECT subscription, message, attempt, published, length(proto) FROM deliveries"
            " JOIN messages ON messages.id = message ORDER BY message"
        )
        return ((int(row[0]), int(row[1]), int(row[2]), float(row[3]), int(row[4])) for row in rows)

    def _sweep_again(self) -> None:
        self.sweep()
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep_again)


def _dead_letter(subscription: Subscription, kept: bytes, attempt: int) -> Any:
    letter = _Message.FromString(kept)
    project, _, short = subscription.name.removeprefix("projects/").partition("/subscriptions/")
    letter.attributes[f"{_LETTER}Subscription"] = short
    letter.attributes[f"{_LETTER}SubscriptionProject"] = project
    letter.attributes[f"{_LETTER}DeliveryCount"] = str(attempt)
    letter.attributes[f"{_LETTER}TopicPublishTime"] = letter.publish_time.ToJsonString()
    return letter


def _missing(name: str) -> NoReturn:
    raise CloudError(Status.NOT_FOUND, f"Resource not found (resource={name.rsplit('/', 1)[-1]}).")


def _exists(name: str) -> NoReturn:
    raise CloudError(
        Status.ALREADY_EXISTS, f"Resource already exists in the project (resource={name.rsplit('/', 1)[-1]})."
    )
