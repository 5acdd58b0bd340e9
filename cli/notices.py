"""The delivery log of notices, and a notice to try the channels with."""

import time
from dataclasses import dataclass
from typing import Any

from cli.connection import ledger_of, say
from shared.environment import Cloud
from shared.events import Notification
from shared.ledger import POSTED, Ledger, notice_key

_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Delivery:
    """What became of a notice: by channel, `told`, `refused` (tried again), or `waiting`."""

    at: str
    severity: str
    model: str
    run: str | None
    title: str
    channels: dict[str, str]

    @property
    def is_told(self) -> bool:
        return all(how == "told" for how in self.channels.values())


def deliveries(ledger: Ledger, last: int, model: str | None = None) -> list[Delivery]:
    """The newest notices, the newest last."""
    entries = ledger.entries("notices/")
    keys = {entry.key for entry in entries}
    posted = sorted((entry for entry in entries if entry.key.endswith("/posted")), key=lambda entry: entry.created)
    wanted = posted if model else posted[-last:]
    found = [_delivery(ledger, entry.key, keys) for entry in wanted]
    return [each for each in found if model in (None, each.model)][-last:]


def tried(cloud: Cloud, notice: Notification, seconds: float) -> Delivery | None:
    """What became of a notice said now, once every channel has answered or the time is over; None if nobody took it."""
    ledger, event = ledger_of(cloud), say(cloud, notice).id
    end = time.monotonic() + seconds
    while True:
        key = notice_key(event, POSTED)
        keys = {entry.key for entry in ledger.entries(notice_key(event, ""))}
        found = _delivery(ledger, key, keys) if key in keys else None
        if (found and "waiting" not in found.channels.values()) or time.monotonic() > end:
            return found
        time.sleep(_LOOK_SECONDS)


def table_row(delivery: Delivery) -> dict[str, Any]:
    """A delivery as a line of a table."""
    told = [f"{channel}: {how}" for channel, how in delivery.channels.items()]
    about = {"at": delivery.at, "severity": delivery.severity, "model": delivery.model, "run": delivery.run or ""}
    return {**about, "title": delivery.title, "channels": told}


def _delivery(ledger: Ledger, key: str, keys: set[str]) -> Delivery:
    record, folder = ledger.require(key), key.removesuffix("posted")
    data = record.data
    channels = {name: _how(folder, name, keys) for name in data["channels"]}
    at = record.at.isoformat(timespec="seconds")
    return Delivery(at, data["severity"], data["model"], data.get("run"), data["title"], channels)


def _how(folder: str, channel: str, keys: set[str]) -> str:
    return next((how for how in ("told", "refused") if f"{folder}{how}/{channel}" in keys), "waiting")
