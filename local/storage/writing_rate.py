"""At most one write per second to the same object, as Cloud Storage has it; a switch, for it makes every test slower.

https://cloud.google.com/storage/quotas#objects
"""

from local.storage.database import Clock
from local.storage.errors import too_fast

_PERIOD_US = 1_000_000
_KEPT = 10_000  # names; beyond, those whose second is over are dropped


class WritingRate:
    """Refuses (429) a write within a second of the last one to the same name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_us: dict[tuple[str, str], int] = {}

    def check(self, bucket: str, name: str) -> None:
        """CloudError 429 when it is too soon; a refused write does not count as one."""
        now_us = self._clock()
        if now_us - self._last_us.get((bucket, name), -_PERIOD_US) < _PERIOD_US:
            raise too_fast(bucket, name)

    def written(self, bucket: str, name: str) -> None:
        """Notes a write that is committed."""
        now_us = self._clock()
        self._last_us[(bucket, name)] = now_us
        if len(self._last_us) > _KEPT:
            self._last_us = {key: at for key, at in self._last_us.items() if now_us - at < _PERIOD_US}
