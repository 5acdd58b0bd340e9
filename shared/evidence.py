"""Latency histograms on fixed buckets, so that every reporter's can be added up and compared.

Bucket 0 ends at 1 ms; each further one ends at 2^(1/4) times the one before, up to 60 s; the last holds all above.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping

_FIRST_SECONDS = 0.001
_LAST_SECONDS = 60.0
_PER_DOUBLING = 4
EDGES_SECONDS: tuple[float, ...] = tuple(
    _FIRST_SECONDS * 2 ** (step / _PER_DOUBLING)
    for step in range(math.ceil(_PER_DOUBLING * math.log2(_LAST_SECONDS / _FIRST_SECONDS)) + 1)
)
Histogram = Mapping[str, int]


def bucket(seconds: float) -> int:
    """The bucket of a latency."""
    return bisect_left(EDGES_SECONDS, seconds)


def merged(first: Histogram, second: Histogram) -> dict[str, int]:
    """Both together."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in {*first, *second}}


def rounded_up(seconds: float) -> int:
    """The first bucket that lies wholly above a limit, once the limit is rounded up to an edge."""
    return bucket(seconds) + 1


def above(histogram: Histogram, first_bucket: int) -> int:
    """How many answers fell into a bucket or one above it."""
    return sum(count for key, count in histogram.items() if int(key) >= first_bucket)


def quantile(histogram: Histogram, share: float) -> float | None:
    """The upper edge, in seconds, of the bucket that holds a quantile; None of an empty histogram."""
    total = sum(histogram.values())
    passed = 0
    for key in sorted(histogram, key=int):
        passed += histogram[key]
        if total and passed >= share * total:
            return EDGES_SECONDS[min(int(key), len(EDGES_SECONDS) - 1)]
    return None
