"""One notice to many channels: each hears it, none waits for another, and whoever has heard it is not told again.

    notice ─► log line ─► per channel: delivered? ─ yes ─► nothing
                                            └ no ──► send ─┬ done ──► recorded
                                                           └ failed ─► the next channel; in the end, delivered again

A channel's address may hold a secret: it is named only by its scheme and a hash.
"""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from functools import partial

from notice_channel import Send, send

from shared.errors import Transient
from shared.events import Notification
from shared.ledger import Outcome
from shared.step import Events, Step

MAX_BODY_CHARS = 8_000  # what the narrowest channels still take in a few pieces
_SEVERITIES = {"info": "INFO", "warning": "WARNING", "error": "ERROR"}
_SCHEME = re.compile(r"([a-z0-9]{1,20})://")


@dataclass(frozen=True)
class Channel:
    """A configured address and the name under which it may be spoken of."""

    address: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.address.encode()).hexdigest()[:20]

    @property
    def scheme(self) -> str:
        found = _SCHEME.match(self.address)
        return found[1] if found else "unknown"

    @property
    def name(self) -> str:
        return f"{self.scheme}/{self.hash}"


def deliver(notice: Notification, step: Step, way: Send = send) -> Events:
    """Tells every channel that has not heard the notice yet; Transient if any of them could not be told."""
    sys.stdout.write(f"{json.dumps(line(notice, step.cause))}\n")
    sys.stdout.flush()
    channels = [Channel(address) for address in step.cloud.environment.notify_urls]
    untold = [channel.name for channel in channels if not _told(channel, notice, step, way)]
    if untold:
        raise Transient("notify.send", f"not told: {', '.join(untold)}")
    return ()


def line(notice: Notification, event: str | None) -> dict[str, object]:
    """The notice as structured logging reads it."""
    about = notice.model_dump(mode="json", exclude={"severity", "title"}, exclude_none=True)
    said = {"severity": _SEVERITIES[notice.severity], "function": "notify", "event": event, "message": notice.title}
    return {**said, "notice": about}


def body(notice: Notification) -> str:
    """The notice as people read it below its title: why, then what to do next."""
    lines = [f"- {reason}" for reason in notice.why]
    wanted = [f"Next: {notice.next}"] if notice.next else []
    text = "\n".join([*lines, *wanted]) or notice.title
    return text if len(text) <= MAX_BODY_CHARS else f"{text[: MAX_BODY_CHARS - 1]}…"


def _told(channel: Channel, notice: Notification, step: Step, way: Send) -> bool:
    """Whether the channel has heard the notice, telling it now if it has not."""
    event = hashlib.sha256((step.cause or "").encode()).hexdigest()[:20]
    key = f"notices/{event}/{channel.hash}"
    if step.ledger.find(key) is not None:
        return True
    told = partial(way, channel.address, notice.title, body(notice), notice.severity)
    if not step.cloud.door("notify.send", told):
        return False
    data = {
        "event": step.cause,
        "channel": channel.name,
        "title": notice.title,
        "model": notice.model,
        "run": notice.run,
    }
    step.ledger.record(key, Outcome(data))
    return True
