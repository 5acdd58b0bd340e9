"""When what waits is enough to train on: enough rows, fewer that have waited long enough, or any on a schedule."""

from datetime import datetime, timedelta
from typing import Literal

from shared.settings import ThresholdSettings
from shared.windows import Waiting

Reason = Literal["threshold", "age", "schedule"]


def crossed(
    threshold: ThresholdSettings, waiting: Waiting, now: datetime, last_run: datetime | None = None
) -> Reason | None:
    """Why the open window is due; None if it is not. Ages are of hours, so that a clock's error does not matter.

    `last_run` is when the last window was closed; None where there is none, or where schedules are not looked at.
    """
    if waiting.rows >= threshold.at_least:
        return "threshold"
    if waiting.rows >= threshold.or_after_rows and _is_over(threshold.or_after_seconds, waiting.oldest, now):
        return "age"
    if waiting.rows and _is_over(threshold.retrain_every_seconds, last_run, now):
        return "schedule"
    return None


def _is_over(seconds: float | None, since: datetime | None, now: datetime) -> bool:
    return seconds is not None and since is not None and now - since >= timedelta(seconds=seconds)
