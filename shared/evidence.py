"""What the reporters of an arm saw, in a form in which any number of reports can be added up and compared.

Latencies are counted in fixed buckets: bucket 0 ends at 1 ms, each further one at 2^(1/4) times the one before, the
last but one at the first such edge from 60 s; the last holds all above. Every reporter uses these, of any version.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.errors import BadInput

if TYPE_CHECKING:  # who only counts starts without the catalogue of events
    from shared.events import EvidenceReported

_FIRST_SECONDS = 0.001
_LAST_SECONDS = 60.0
_PER_DOUBLING = 4
EDGES_SECONDS: tuple[float, ...] = tuple(
    _FIRST_SECONDS * 2 ** (step / _PER_DOUBLING)
    for step in range(math.ceil(_PER_DOUBLING * math.log2(_LAST_SECONDS / _FIRST_SECONDS)) + 1)
)
Histogram = Mapping[str, int]
_KEYS = frozenset(str(index) for index in range(len(EDGES_SECONDS) + 1))


def bucket(seconds: float) -> int:
    """The bucket of a latency: the first whose edge is not below it."""
    return bisect_left(EDGES_SECONDS, seconds)


def merged(first: Histogram, second: Histogram) -> dict[str, int]:
    """Both together."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in {*first, *second}}


def rounded_up(seconds: float) -> int:
    """The first bucket that lies wholly above a limit, once the limit is rounded up to an edge."""
    return bucket(seconds) + 1


def limit_seconds(first_bucket: int) -> float:
    """The edge from which on a bucket lies above: what `rounded_up` has made of a limit."""
    return EDGES_SECONDS[min(first_bucket, len(EDGES_SECONDS)) - 1]


def above(histogram: Histogram, first_bucket: int) -> int:
    """How many answers fell into a bucket or one above it."""
    return sum(count for key, count in histogram.items() if int(key) >= first_bucket)


def quantile(histogram: Histogram, share: float) -> float | None:
    """The latency in seconds that a share of the answers stayed within; None of an empty histogram.

    Interpolated geometrically inside its bucket, so wrong by less than a bucket's width (19 %).
    """
    total = sum(histogram.values())
    passed = 0
    for index in sorted(int(key) for key, count in histogram.items() if count):
        count = histogram[str(index)]
        if passed + count >= share * total:
            upper = EDGES_SECONDS[min(index, len(EDGES_SECONDS) - 1)]
            return float(upper * 2 ** (((share * total - passed) / count - 1) / _PER_DOUBLING))
        passed += count
    return None


@dataclass(frozen=True)
class Counts:
    """What one arm saw, as the sum of `reports` reports; `late` are the requests of further reports that came too late.

    A request of many rows is one request; a label counts by itself. `requests` includes `errors`, not `client_errors`.
    """

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    rows: int = 0
    latency: Histogram = field(default_factory=dict)
    labelled: int = 0
    wrong: int = 0
    reports: int = 0
    late: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            client_errors=self.client_errors + other.client_errors,
            rows=self.rows + other.rows,
            latency=merged(self.latency, other.latency),
            labelled=self.labelled + other.labelled,
            wrong=self.wrong + other.wrong,
            reports=self.reports + other.reports,
            late=self.late + other.late,
        )

    @property
    def answers(self) -> int:
        """How many requests have a latency."""
        return sum(self.latency.values())

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "latency": dict(self.latency)}

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> Counts:
        return Counts(**kept)


def total(counts: Iterable[Counts]) -> Counts:
    """All together; nothing of none."""
    return sum(counts, Counts())


def counts_of(report: EvidenceReported) -> Counts:
    """What a report counted; raises BadInput with every reason why its numbers cannot be."""
    reasons = [f"latency: no bucket {key!r:.20}" for key in sorted(set(report.latency) - _KEYS)[:5]]
    reasons += ["latency: a count below 0"] if any(count < 0 for count in report.latency.values()) else []
    reasons += ["errors: more than requests"] if report.errors > report.requests else []
    reasons += ["wrong: more than labelled"] if report.wrong > report.labelled else []
    reasons += ["latency: more answers than requests"] if sum(report.latency.values()) > report.requests else []
    if reasons:
        raise BadInput("evidence", reasons)
    return Counts(
        requests=report.requests,
        errors=report.errors,
        client_errors=report.client_errors,
        rows=report.rows,
        latency=dict(report.latency),
        labelled=report.labelled,
        wrong=report.wrong,
        # Labels are counted elsewhere: a batch of them is no sign of life from the deployment.
        reports=0 if report.reporter.startswith("outcomes:") else 1,
    )
