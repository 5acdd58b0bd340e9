"""Other ways to judge a canary, on the very same streams: what each of them costs is seen beside ours.

Each looks after every minute and answers for which canaries it would go back now.
"""

import math
from typing import NamedTuple, Protocol

import numpy as np

from bench.judge_traffic import Bools, Floats, Ints, Minute
from bench.judge_twin import TESTS, Counted, Twin
from shared.evidence import EDGES_SECONDS


class Seen(NamedTuple):
    """A minute, and its bad events test by test."""

    minute: Minute
    counted: list[Counted]


class Judge(Protocol):
    """Whoever judges so many canaries at once."""

    def rolls_back(self, seen: Seen) -> Bools:
        """Which canaries are rolled back after this minute."""


class OurJudge:
    """The judge of `functions/monitor_canary`, as its twin; it has seen the dark minutes already."""

    def __init__(self, twin: Twin, percent: int) -> None:
        self._twin, self._percent = twin, percent

    def rolls_back(self, seen: Seen) -> Bools:
        self._twin.advance(seen.minute, self._percent)
        return np.asarray(self._twin.kinds() == "roll_back")


class Threshold:
    """An analysis in the manner of Argo Rollouts' documentation: every five minutes, over at the fourth failure.

    The limits are fixed, as they have to be: 95 % without an error, 88 % right, p99 within 0.512 s.
    """

    _MINUTES, _FAILURE_LIMIT = 5, 3
    _SUCCESS, _ACCURACY, _SLOW_BUCKET = 0.95, 0.88, 37

    def __init__(self, canaries: int) -> None:
        self._failed = np.zeros((3, canaries), dtype=np.int64)
        self._minutes: list[Minute] = []

    def rolls_back(self, seen: Seen) -> Bools:
        self._minutes.append(seen.minute)
        if len(self._minutes) == self._MINUTES:
            self._failed += self._measured()
            self._minutes = []
        return np.asarray((self._failed > self._FAILURE_LIMIT).any(axis=0))

    def _measured(self) -> Bools:
        arms = [minute.canary for minute in self._minutes]
        requests, errors, labelled, wrong = (sum(arm[place] for arm in arms) for place in range(4))
        latency = sum(arm.latency for arm in arms)
        slow = np.where(self._minutes[0].categories >= self._SLOW_BUCKET, latency, 0).sum(axis=1)
        return np.array(
            [errors > (1 - self._SUCCESS) * requests, wrong > (1 - self._ACCURACY) * labelled, slow > 0.01 * labelled]
        )


assert math.isclose(EDGES_SECONDS[36], 0.512)


class RepeatedZ:
    """The two-proportion z-test at 5 %, asked anew after every minute about everything so far."""

    _BOUND = 1.96

    def __init__(self, canaries: int) -> None:
        self._seen = np.zeros((len(TESTS), 4, canaries))

    def rolls_back(self, seen: Seen) -> Bools:
        self._seen += np.array(seen.counted)
        x, n, y, k = np.moveaxis(self._seen, 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            both = (x + y) / (n + k)
            z = (x / n - y / k) / np.sqrt(both * (1 - both) * (1 / n + 1 / k))
        return np.asarray((np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0) > self._BOUND).any(axis=0))


class MannWhitney:
    """Kayenta's judge: per metric the 98 % interval of the shift between the minutes' values of both arms.

    A metric is high when the whole interval lies beyond a quarter of the estimated shift; one high metric goes back.
    Metrics are the rates of errors and of wrong labels and the p99 of each of the last sixty minutes, asked for every
    ten minutes. The interval is that of Hodges and Lehmann by the normal approximation, with its correction for ties.
    """

    _EVERY, _WINDOW = 10, 60
    _QUANTILE, _TOLERANCE = 2.3263, 0.25
    _AT_ONCE = 100  # canaries whose pairs of minutes are held at a time

    def __init__(self, canaries: int) -> None:
        self._values: list[Floats] = []
        self._asked = 0
        self._left = np.zeros(canaries, dtype=bool)

    def rolls_back(self, seen: Seen) -> Bools:
        self._values = [*self._values, self._metrics(seen.minute)][-self._WINDOW :]
        self._asked += 1
        if self._asked % self._EVERY == 0:
            self._left[~self._left] = self._high(np.stack(self._values, axis=-1)[:, :, ~self._left])
        return self._left

    @staticmethod
    def _metrics(minute: Minute) -> Floats:
        """[arm, metric, canary]."""
        return np.array(
            [
                [
                    arm.errors / np.maximum(arm.requests, 1),
                    arm.wrong / np.maximum(arm.labelled, 1),
                    quantiles(arm.latency, minute.categories, 0.99),
                ]
                for arm in (minute.canary, minute.production)
            ]
        )

    def _high(self, values: Floats) -> Bools:
        parts = [values[:, :, start : start + self._AT_ONCE] for start in range(0, values.shape[2], self._AT_ONCE)]
        found = [
            np.any([self.is_high(part[0, metric], part[1, metric]) for metric in range(values.shape[1])], axis=0)
            for part in parts
        ]
        return np.concatenate(found) if found else np.zeros(0, dtype=bool)

    @classmethod
    def is_high(cls, canary: Floats, control: Floats) -> Bools:
        """Whether a metric's values, [canary, minute], are those of an increase."""
        m, n = canary.shape[1], control.shape[1]
        differences = np.sort((canary[:, :, None] - control[:, None, :]).reshape(len(canary), m * n), axis=1)
        tied = _ties(canary) + _ties(control)
        spread = np.sqrt(np.maximum(m * n / 12 * (m + n + 1 - tied / ((m + n) * (m + n - 1))), 0.0))
        place = np.clip(np.floor(m * n / 2 - cls._QUANTILE * spread - 0.5).astype(int), 0, m * n - 1)
        lower = np.take_along_axis(differences, place[:, None], axis=1)[:, 0]
        found: Bools = lower > cls._TOLERANCE * np.abs(np.median(differences, axis=1))
        return found


def _ties(values: Floats) -> Floats:
    """The sum of t³ - t over the groups of t equal values in each row."""
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    found: Floats = (equal.astype(float) ** 2 - 1).sum(axis=1)
    return found


def quantiles(latency: Ints, categories: Ints, share: float) -> Floats:
    """The latency in seconds that a share of each row's answers stayed within, interpolated; 0 of none."""
    passed = np.cumsum(latency, axis=1)
    wanted = share * passed[:, -1]
    place = (passed < wanted[:, None]).sum(axis=1).clip(max=len(categories) - 1)
    rows = np.arange(len(latency))
    inside = latency[rows, place]
    part = (wanted - passed[rows, place] + inside) / np.maximum(inside, 1)
    upper = np.array(EDGES_SECONDS)[np.minimum(categories[place], len(EDGES_SECONDS) - 1)]
    return np.where(passed[:, -1] > 0, upper * 2 ** ((part - 1) / 4), 0.0)


def all_judges(canaries: int, twin: Twin, percent: int) -> dict[str, Judge]:
    """Ours and the others, each for so many canaries."""
    return {
        "Serin": OurJudge(twin, percent),
        "threshold": Threshold(canaries),
        "Mann-Whitney": MannWhitney(canaries),
        "repeated z": RepeatedZ(canaries),
    }
