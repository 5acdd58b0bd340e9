"""One subscription at work: its backlog in memory, its losses and gains in the database, its timer, its subscribers.

Everything here runs in one event loop, so nothing is locked and nobody polls: whoever wants messages watches, and is
called when there may be some.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from google.pubsub_v1.types import PubsubMessage

from local.pubsub import filters, settings
from local.pubsub.backlog import Backlog, Lease, Released
from local.pubsub.database import Database
from local.pubsub.limits import MAX_ACK_SECONDS, MAX_PULL_BYTES, check_range, invalid

_Message = PubsubMessage.pb()
Watcher = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to a subscriber; `attempt` counts from 1, also where Google does not tell it."""

    ack_id: str
    message: Any
    attempt: int


class Keeper(Protocol):
    """What a subscription asks of the broker about messages that others may still wait for."""

    def release(self, message: int) -> None:
        """One subscription less waits for a message."""

    def bury(self, subscription: "Subscription", message: int, attempt: int) -> bool:
        """Publishes a message on the dead-letter topic; false when that topic does not exist."""


class Subscription:
    """Delivers what its filter lets through, again and again, until it is acknowledged, buried or too old."""

    def __init__(
        self, number: int, config: Any, database: Database, keeper: Keeper, clock: Callable[[], float]
    ) -> None:
        self.number = number
        self.config = config
        self._retention_seconds = settings.retention_seconds(config)
        self.deleted = False
        self.passes = filters.parse(config.filter)
        self._backlog = Backlog()
        self._database = database
        self._keeper = keeper
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watchers: list[Watcher] = []

    @property
    def name(self) -> str:
        return str(self.config.name)

    @property
    def tells_attempts(self) -> bool:
        """Google tells the delivery attempt only where there is a dead-letter policy."""
        return bool(self.config.dead_letter_policy.dead_letter_topic)

    def configure(self, config: Any) -> None:
        self.config = config
        self._retention_seconds = settings.retention_seconds(config)
        self.wake()

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Calls the watcher whenever there may be something to lease, until the answered function is called."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def wake(self) -> None:
        for watcher in tuple(self._watchers):
            watcher()

    def put(self, message: int, published: float, size: int, attempt: int = 0) -> None:
        """Adds a message that is kept already; does not wake anybody."""
        self._backlog.put(message, published, size, attempt)

    def lease(
        self, most: int, *, most_bytes: int = MAX_PULL_BYTES, seconds: int = 0, released: Released | None = None
    ) -> list[Delivery]:
        """Leases what is ready, for `seconds` or else the subscription's ack deadline."""
        if self.deleted:
            return []
        self.drop_expired()
        until = self._loop.time() + (seconds or self.config.ack_deadline_seconds)
        leases = self._backlog.lease(until, most, most_bytes, released)
        self._arm()
        return [self._delivery(lease) for lease in leases]

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Ends deliveries, also late ones unless the message is out again; raises INVALID_ARGUMENT for a wrong id."""
        for number, message, attempt in [_parsed(ack_id) for ack_id in ack_ids]:
            if number == self.number and self._backlog.holds(message, attempt):
                self._drop(message)

    def modify(self, ack_ids: Iterable[str], seconds: int) -> None:
        """Moves the end of running leases to `seconds` from now; 0 gives the messages back."""
        check_range("ack_deadline_seconds", seconds, 0, MAX_ACK_SECONDS)
        for number, message, attempt in [_parsed(ack_id) for ack_id in ack_ids]:
            if number != self.number or not self._backlog.is_leased(message, attempt):
                continue
            if seconds:
                self._backlog.extend(message, self._loop.time() + seconds)
            else:
                self._give_back(message, attempt)
        self._arm()

    def drop_expired(self) -> None:
        """Forgets the messages that are older than the subscription's retention."""
        oldest = self._clock() - self._retention_seconds
        for message in self._backlog.published_before(oldest):
            self._drop(message)

    def delete(self) -> None:
        """Forgets everything; the subscribers are told."""
        self.deleted = True
        for message in self._backlog.clear():
            self._keeper.release(message)
        self.close()
        self.wake()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _delivery(self, lease: Lease) -> Delivery:
        message = _Message.FromString(self._database.message(lease.message))
        return Delivery(f"{self.number}.{lease.message}.{lease.attempt}", message, lease.attempt)

    def _drop(self, message: int) -> None:
        self._backlog.remove(message)
        self._database.write("DELETE FROM deliveries WHERE subscription = ? AND message = ?", self.number, message)
        self._keeper.release(message)

    def _give_back(self, message: int, attempt: int) -> None:
        if settings.is_exhausted(self.config, attempt) and self._keeper.bury(self, message, attempt):
            self._drop(message)
            return
        self._database.write(
            "UPDATE deliveries SET attempt = ? WHERE subscription = ? AND message = ?", attempt, self.number, message
        )
        self._backlog.wait(message, self._loop.time() + settings.backoff_seconds(self.config, attempt))

    def _arm(self) -> None:
        """Sets the timer to the next end of a lease or a wait; one that comes too early sets itself again."""
        end = self._backlog.next_end()
        if end is None or (self._timer is not None and self._timer.when() <= end):
            return
        self.close()
        self._timer = self._loop.call_at(end, self._advance)

    def _advance(self) -> None:
        self._timer = None
        for lease in self._backlog.advance(self._loop.time()):
            self._give_back(lease.message, lease.attempt)
        self._arm()
        self.wake()


def _parsed(ack_id: str) -> tuple[int, int, int]:
    parts = ack_id.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in parts):
        raise invalid(f"You have passed an invalid ack ID to the service (ack_id={ack_id}).")
    return int(parts[0]), int(parts[1]), int(parts[2])
