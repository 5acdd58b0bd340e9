"""The window protocol: a threshold without a counter that could be lost or raced.

    contents ─► marker in pending/<k> ─► look: does windows/<k> stand without me? ─ yes ─► k+1, again
                                                    └ no ─► at home in k

Writer, closer and sweeper all carry a marker this way, one window at a time, never "to the open one": a marker that was
put down before the window closed is in its list, and one that came too late is seen to have come too late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.ids import ModelName, UploadId
from shared.ledger import Ledger, Outcome, Record, pending_prefix, window_key, windows_prefix
from shared.store import Entry


@dataclass(frozen=True)
class Upload:
    """An accepted upload: exactly these bytes, known by `content`; `quarantine` is the record of the rows left out."""

    id: UploadId
    bucket: str
    name: str
    generation: int
    content: str
    rows: int
    quarantine: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "bucket": self.bucket,
            "name": self.name,
            "generation": self.generation,
            "content": self.content,
            "rows": self.rows,
            "quarantine": self.quarantine,
        }

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Upload":
        return Upload(
            UploadId(kept["id"]), kept["bucket"], kept["name"], kept["generation"], kept["content"], kept["rows"],
            kept.get("quarantine"),
        )  # fmt: skip


def last_window(ledger: Ledger, model: ModelName) -> int:
    """The highest number of a closed window; 0 before the first."""
    closed = ledger.entries(windows_prefix(model))
    return int(closed[-1].key.rsplit("/", 1)[-1]) if closed else 0


def carry(ledger: Ledger, model: ModelName, upload: Upload, home: int) -> int:
    """Puts the upload's marker where it counts, walking on from its home; answers the window it is now in."""
    window = home
    while True:
        key = f"{pending_prefix(model, window)}{upload.id}"
        ledger.once(key, lambda: Outcome(upload.to_json()), {"rows": str(upload.rows)})
        closed = ledger.find(window_key(model, window))
        if closed is None or names(closed, upload.id):
            return window
        window += 1


def names(closed: Record, upload: UploadId) -> bool:
    """Whether a closed window lists an upload."""
    return any(listed["id"] == upload for listed in closed.data["uploads"])


@dataclass(frozen=True)
class Waiting:
    """What waits in a window: how many rows, and since when the oldest (the server's time)."""

    rows: int
    oldest: datetime | None


def waiting(ledger: Ledger, model: ModelName, window: int) -> Waiting:
    """What the markers in a window say, read off the listing alone."""
    return _summed(ledger.entries(pending_prefix(model, window)))


def known_to_wait(ledger: Ledger, model: ModelName, window: int) -> Waiting:
    """At least what this process put there, and all that others did but for the last moments.

    So the time that a file takes does not grow with the number of files that came before it. Who is overlooked is
    counted by the next upload, or by reconcile at its next tick.
    """
    return _summed(ledger.entries_known(pending_prefix(model, window)))


def _summed(markers: Sequence[Entry]) -> Waiting:
    rows = sum(int(marker.metadata.get("rows", "0")) for marker in markers)
    return Waiting(rows, min((marker.created for marker in markers), default=None))


def waiting_uploads(ledger: Ledger, model: ModelName, window: int) -> list[Upload]:
    """The uploads whose markers stand in a window."""
    entries = ledger.entries(pending_prefix(model, window))
    return [Upload.from_json(ledger.require(entry.key).data) for entry in entries]


def sweep(ledger: Ledger, model: ModelName, window: int) -> int:
    """Walks on every marker that a closed window does not list; answers how many there were."""
    closed = ledger.find(window_key(model, window))
    if closed is None:
        return 0
    late = [upload for upload in waiting_uploads(ledger, model, window) if not names(closed, upload.id)]
    for upload in late:
        carry(ledger, model, upload, window + 1)
    return len(late)
