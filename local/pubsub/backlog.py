"""What one subscription still has to deliver, as a value machine: no clock, no storage, no wire.

                 lease                      acknowledge
    ready ───────────────► leased ───────────────────────► gone
      ▲                      │ give back, or the lease ends
      │     backoff over     ▼
      └─────────────────── waiting

A lease is named by its attempt: whoever comes back with an older attempt has lost it, and changes nothing.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

MessageId = int
Released = Callable[[int], None]  # told the message's size when a lease ends, for whatever reason


@dataclass(frozen=True, slots=True)
class Lease:
    """A message out at a subscriber; `attempt` counts from 1."""

    message: MessageId
    attempt: int


class _Stage(Enum):
    READY = auto()
    LEASED = auto()
    WAITING = auto()


@dataclass(slots=True)
class _Delivery:
    published: float
    size: int
    attempt: int
    stage: _Stage = _Stage.READY
    until: float = 0.0  # the end of the lease or of the wait
    released: Released | None = None


class Backlog:
    """The deliveries of one subscription, leased in the order of publishing."""

    def __init__(self) -> None:
        self._deliveries: dict[MessageId, _Delivery] = {}
        # Both heaps keep entries that are no longer true; they are skipped when they come up.
        self._ready: list[MessageId] = []
        self._ends: list[tuple[float, MessageId]] = []

    def __len__(self) -> int:
        return len(self._deliveries)

    def __contains__(self, message: MessageId) -> bool:
        return message in self._deliveries

    def put(self, message: MessageId, published: float, size: int, attempt: int = 0) -> None:
        """Adds a message that has been tried `attempt` times."""
        self._deliveries[message] = _Delivery(published, size, attempt)
        heapq.heappush(self._ready, message)

    def lease(self, until: float, most: int, most_bytes: int, released: Released | None = None) -> list[Lease]:
        """Leases up to `most` ready messages; the last one may exceed the bytes, so that a big one is not stuck."""
        leases: list[Lease] = []
        while self._ready and len(leases) < most and most_bytes > 0:
            message = heapq.heappop(self._ready)
            delivery = self._deliveries.get(message)
            if delivery is None or delivery.stage is not _Stage.READY:
                continue
            delivery.attempt += 1
            delivery.stage, delivery.released = _Stage.LEASED, released
            self._hold(message, delivery, until)
            most_bytes -= delivery.size
            leases.append(Lease(message, delivery.attempt))
        return leases

    def holds(self, message: MessageId, attempt: int) -> bool:
        """Whether this attempt is the message's latest."""
        delivery = self._deliveries.get(message)
        return delivery is not None and delivery.attempt == attempt

    def is_leased(self, message: MessageId, attempt: int) -> bool:
        """Whether this attempt's lease is still running."""
        delivery = self._deliveries.get(message)
        return delivery is not None and delivery.attempt == attempt and delivery.stage is _Stage.LEASED

    def extend(self, message: MessageId, until: float) -> None:
        """Moves the end of a running lease."""
        self._hold(message, self._deliveries[message], until)

    def wait(self, message: MessageId, until: float) -> None:
        """Ends a lease; the message is ready again at `until`."""
        delivery = self._deliveries[message]
        self._release(delivery)
        delivery.stage = _Stage.WAITING
        self._hold(message, delivery, until)

    def remove(self, message: MessageId) -> None:
        """Forgets a message; its lease, if any, ends."""
        delivery = self._deliveries.pop(message, None)
        if delivery is not None:
            self._release(delivery)

    def clear(self) -> list[MessageId]:
        """Forgets everything; answers what it was."""
        messages = list(self._deliveries)
        for message in messages:
            self.remove(message)
        return messages

    def advance(self, now: float) -> list[Lease]:
        """Makes ready what has waited long enough; answers the leases that have ended unanswered, to be given back."""
        ended: list[Lease] = []
        while self._ends and self._ends[0][0] <= now:
            until, message = heapq.heappop(self._ends)
            delivery = self._still(message, until)
            if delivery is None:
                continue
            if delivery.stage is _Stage.LEASED:
                delivery.until = inf  # told once, also when it was extended twice to the same moment
                ended.append(Lease(message, delivery.attempt))
            else:
                delivery.stage = _Stage.READY
                heapq.heappush(self._ready, message)
        return ended

    def next_end(self) -> float | None:
        """When `advance` has something to do next."""
        while self._ends:
            until, message = self._ends[0]
            if self._still(message, until) is not None:
                return until
            heapq.heappop(self._ends)
        return None

    def published_before(self, moment: float) -> list[MessageId]:
        """The messages that are older than that."""
        old: list[MessageId] = []
        for message, delivery in self._deliveries.items():
            if delivery.published >= moment:
                break
            old.append(message)
        return old

    def _still(self, message: MessageId, until: float) -> _Delivery | None:
        delivery = self._deliveries.get(message)
        if delivery is None or delivery.stage is _Stage.READY or delivery.until != until:
            return None
        return delivery

    def _hold(self, message: MessageId, delivery: _Delivery, until: float) -> None:
        delivery.until = until
        heapq.heappush(self._ends, (until, message))

    def _release(self, delivery: _Delivery) -> None:
        if delivery.released is not None:
            released, delivery.released = delivery.released, None
            released(delivery.size)
