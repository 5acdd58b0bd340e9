"""When what waits is enough to train on: enough rows, or fewer that have waited long enough."""

from datetime import datetime, timedelta
from typing import Literal

from shared.settings import ThresholdSettings
from shared.windows import Waiting


def crossed(threshold: ThresholdSettings, waiting: Waiting, now: datetime) -> Literal["threshold", "age"] | None:
    """Why the open window is due; None if it is not. Ages are of hours, so that a clock's error does not matter."""
    if waiting.rows >= threshold.at_least:
        return "threshold"
    seconds = threshold.or_after_seconds
    if seconds is None or waiting.oldest is None or waiting.rows < threshold.or_after_rows:
        return None
    return "age" if now - waiting.oldest >= timedelta(seconds=seconds) else None
