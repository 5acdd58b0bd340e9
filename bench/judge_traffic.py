"""Made-up canaries by the thousand: what both arms would report, minute by minute, of independent requests.

A minute's requests are Poisson and routed at random; errors and wrong labels are binomial; latencies are lognormal,
counted in the buckets that reporters use. Every answer is labelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.evidence import EDGES_SECONDS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_UNLIKELY = 1e-9  # a bucket that fewer answers fall into is its neighbour's


@dataclass(frozen=True)
class Behaviour:
    """How a deployment answers; latencies beyond the quantile `tail_from` are multiplied by `tail_factor`.

    Labels come in clusters that are all right or all wrong: of one, they are independent.
    """

    wrong: float = 0.1
    errors: float = 0.001
    median_seconds: float = 0.1
    spread: float = 0.5
    tail_from: float = 1.0
    tail_factor: float = 1.0
    cluster: int = 1

    def within(self, seconds: float) -> float:
        """The share of answers that take at most so long."""
        if seconds <= 0.0:
            return 0.0
        usual = NormalDist(float(np.log(self.median_seconds)), self.spread)
        share = usual.cdf(float(np.log(seconds)))
        if share <= self.tail_from:
            return share
        return max(self.tail_from, usual.cdf(float(np.log(seconds / self.tail_factor))))


class Arm(NamedTuple):
    """One minute of one arm, an entry per canary; `latency` is [canary, category]."""

    requests: Ints
    errors: Ints
    labelled: Ints
    wrong: Ints
    latency: Ints


class Minute(NamedTuple):
    """One minute of both arms. A category of latencies is named by its first bucket."""

    canary: Arm
    production: Arm
    categories: Ints


class Traffic:
    """Draws the minutes of so many canaries at once; the same seed draws the same."""

    def __init__(self, seed: int, canaries: int, requests_per_minute: float) -> None:
        self._chance = np.random.default_rng(seed)
        self._canaries = canaries
        self._requests = requests_per_minute

    def minute(self, percent: int, canary: Behaviour, production: Behaviour, categories: Ints) -> Minute:
        """The next minute, at this share of the traffic."""
        one = self._arm(self._requests * percent / 100, canary, categories)
        other = self._arm(self._requests * (1 - percent / 100), production, categories)
        return Minute(one, other, categories)

    def _arm(self, mean: float, like: Behaviour, categories: Ints) -> Arm:
        requests = self._chance.poisson(mean, self._canaries)
        errors = self._chance.binomial(requests, like.errors)
        answers = requests - errors
        wrong = like.cluster * self._chance.binomial(answers // like.cluster, like.wrong)
        latency = self._chance.multinomial(answers, _shares(like, categories))
        return Arm(requests, errors, answers, wrong, latency)


def every_bucket(behaviours: Sequence[Behaviour]) -> Ints:
    """The buckets that the latencies of these fall into, one category each."""
    last = len(EDGES_SECONDS)
    first = min((_quantile_bucket(like, _UNLIKELY) for like in behaviours), default=0)
    beyond = max((_quantile_bucket(like, 1 - _UNLIKELY) for like in behaviours), default=last)
    return np.arange(first, min(beyond, last) + 1)


def _quantile_bucket(like: Behaviour, share: float) -> int:
    return next((place for place, edge in enumerate(EDGES_SECONDS) if like.within(edge) >= share), len(EDGES_SECONDS))


def _shares(like: Behaviour, categories: Ints) -> Floats:
    """How likely an answer falls into each category; the first holds all below it, the last all above."""
    starts = [0.0, *(like.within(EDGES_SECONDS[first - 1]) for first in categories[1:])]
    return np.diff([*starts, 1.0])
