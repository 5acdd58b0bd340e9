"""The judge once more, for thousands of canaries at once: what simulations of its guarantees need.

It shares no code with `functions/monitor_canary`; a test feeds both the same streams and compares every number. What
these streams never contain (late reports, labels that stop, an arm that is dead) only the real judge knows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from bench.judge_traffic import Bools, Floats, Ints, Minute
from shared.evidence import quantile, rounded_up
from shared.evidence_rules import EvidenceRules

TESTS = ("wrong", "errors", "slow50", "slow99")
_SAFE = (0, 1, 3)  # the tests that a promotion needs
_RATIOS = np.array([1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0, 100.0])
_PRIOR, _MEMORY, _LEARNT = 5000.0, 0.97, 20.0
_LEAST = 1e-6
_HALVINGS = 30  # of at most a margin: 1e-11, where the judge goes on to the last bit
Kinds = NDArray[np.str_]


class Counted(NamedTuple):
    """Bad events of all events of one test in either arm, an entry per canary."""

    canary_bad: Ints
    canary_units: Ints
    production_bad: Ints
    production_units: Ints


class Twin:
    """So many canaries under the same rules; `safety` may be left out where nothing is to be promoted."""

    def __init__(self, canaries: int, rules: EvidenceRules, safety: bool = True) -> None:
        self._rules, self._safety = rules, safety
        self.bad = np.full((4, canaries), 0.5)
        self.units = np.ones((4, canaries))
        self.harm = np.zeros((4, canaries, len(_RATIOS)))
        self.safe = np.zeros((4, canaries, 4))
        self.seen = np.zeros((4, 4, canaries), dtype=np.int64)
        self.excess, self.weight = np.zeros((4, canaries)), np.zeros((4, canaries))
        points = (rules.wrong_margin_points, rules.error_margin_points, 50.0, rules.slow_margin_points)
        self.margin = np.repeat(np.array(points)[:, None] / 100, canaries, axis=1)
        self.first_bucket = np.full((2, canaries), -1)
        self._learning: dict[int, dict[str, int]] = {canary: {} for canary in range(canaries)}
        self._percent = 0
        self.minutes = self.step_minutes = 0
        self.step_requests = np.zeros(canaries, dtype=np.int64)
        self.split = np.zeros((2, canaries), dtype=np.int64)
        self.split_before = np.zeros(canaries)
        self.idle, self.idle_chance = np.zeros(canaries, dtype=np.int64), np.zeros(canaries)

    @property
    def limits_known(self) -> bool:
        return not self._learning

    def advance(self, minute: Minute, percent: int) -> None:
        """One more interval, in which the canaries had this share of the traffic (0: they were dark)."""
        self._step(minute, percent)
        for test in range(len(TESTS)):
            self._bet(test, self.count(test, minute, percent))
        if self._learning:
            self._learn(minute)

    def harmful(self) -> Bools:
        """Whose harm is both certain and large enough to matter."""
        bound = np.log(len(TESTS) / (self._rules.false_rollback_percent / 100))
        known = self.weight > 0
        matters = np.where(known, self.excess / np.where(known, self.weight, 1.0), -1.0) > self.margin
        return np.asarray(
            np.any([matters[test] & _reaches(self.harm[test], bound) for test in range(len(TESTS))], axis=0)
        )

    def kinds(self) -> Kinds:
        """The verdict on each canary now."""
        rules = self._rules
        silent = (self.idle >= rules.silent_intervals) & (self.idle_chance <= np.log(1e-6))
        suspect = self.log_split() >= -np.log(rules.false_split_alarm)
        passed = (
            (self._percent > 0)
            & (self.step_minutes * rules.report_seconds >= rules.minimum_seconds)
            & (self.step_requests >= rules.minimum_requests)
            & (self.seen[0, 1] >= rules.minimum_labels)
            & self._safe_enough()
            & ~suspect
        )
        over = np.full(passed.shape, self.minutes * rules.report_seconds >= rules.time_limit_seconds)
        conditions = [self.harmful(), silent, passed, over, suspect]
        return np.select(
            conditions, ["roll_back", "silent", "go_on", "out_of_time", "split_suspect"], "not_enough"
        )  # fmt: skip

    def log_split(self) -> Floats:
        """The logarithm of the evidence that the split is not the ordered one."""
        share = self._percent / 100
        if not 0 < share < 1:
            return self.split_before
        canary, production = self.split.astype(float)
        a, b = 100 * share, 100 * (1 - share)
        ordered = canary * np.log(share) + production * np.log1p(-share)
        found: Floats = _log_beta(a + canary, b + production) - _log_beta(a, b) - ordered
        return self.split_before + found

    def _safe_enough(self) -> Bools:
        bound = np.log(100 / self._rules.wrong_promotion_percent)
        tests = [test for test in _SAFE if test != 0 or self._rules.labels_required]
        return np.asarray(np.all([_reaches(self.safe[test], bound) for test in tests], axis=0))

    def _step(self, minute: Minute, percent: int) -> None:
        if percent != self._percent:
            self.split_before = self.log_split()
            self._percent, self.step_minutes = percent, 0
            self.step_requests, self.split = np.zeros_like(self.step_requests), np.zeros_like(self.split)
            self.idle, self.idle_chance = np.zeros_like(self.idle), np.zeros_like(self.idle_chance)
        if percent == 0:
            return
        canary, production = minute.canary.requests, minute.production.requests
        self.minutes, self.step_minutes = self.minutes + 1, self.step_minutes + 1
        self.step_requests = self.step_requests + canary
        self.split = self.split + np.array([canary, production])
        missed = (canary == 0) & (production > 0)
        chance = self.idle_chance + np.where(missed, production * np.log1p(-min(percent, 99) / 100), 0.0)
        self.idle = np.where(canary > 0, 0, self.idle + missed)
        self.idle_chance = np.where(canary > 0, 0.0, chance)

    def count(self, test: int, minute: Minute, percent: int) -> Counted:
        """The bad events of a minute in which the canaries have this share."""
        canary, production = minute.canary, minute.production
        if test == 0:
            counts = (canary.wrong, canary.labelled, production.wrong, production.labelled)
        elif test == 1:
            counts = (canary.errors, canary.requests, production.errors, production.requests)
        else:
            counts = self._slow(self.first_bucket[test - 2], minute)
        seen = int(percent > 0)
        return Counted(counts[0] * seen, counts[1] * seen, counts[2], counts[3])

    def _slow(self, first: Ints, minute: Minute) -> tuple[Ints, Ints, Ints, Ints]:
        """Nothing is slow before it is known what slow means."""
        known = first >= 0
        one, other = minute.canary.latency * known[:, None], minute.production.latency * known[:, None]
        slow = [_above(latency, minute.categories, first) for latency in (one, other)]
        return slow[0], one.sum(axis=1), slow[1], other.sum(axis=1)

    def _bet(self, test: int, counted: Counted) -> None:
        x, n, y, k = counted
        both = (n > 0) & (k > 0)
        rate = np.clip(self.bad[test] / self.units[test], _LEAST, 1 - _LEAST)
        bets = both & (self.units[test] >= _LEARNT)
        if bets.any():
            odds = rate[:, None] * _RATIOS / (1 - rate[:, None])
            worse = np.clip(odds / (1 + odds), _LEAST, 1 - _LEAST)
            self.harm[test] += np.where(bets[:, None], _factors(counted, worse, rate, self.margin[test] * 0), 0.0)
            if self._safety and test in _SAFE:
                margin = self.margin[test]
                better = np.stack([0.8 * rate, rate, rate + margin / 4, rate + margin / 2], axis=1)
                better = np.clip(better, _LEAST, 1 - _LEAST)
                self.safe[test] += np.where(bets[:, None], _factors(counted, better, rate, margin), 0.0)
        self.seen[test] += np.where(both, np.array(counted), 0)
        units = np.where(both, n + k, 1)
        difference = np.where(both, x / np.maximum(n, 1) - y / np.maximum(k, 1), 0.0)
        weight = np.where(both, n * k / units, 0.0)
        self.excess[test] += weight * difference
        self.weight[test] += weight
        taught = k > 0
        self.bad[test] = np.where(taught, _MEMORY * self.bad[test] + y, self.bad[test])
        self.units[test] = np.where(taught, _MEMORY * self.units[test] + k, self.units[test])

    def _learn(self, minute: Minute) -> None:
        names = [str(first) for first in minute.categories]
        for canary, known in list(self._learning.items()):
            row = minute.production.latency[canary]
            latency = {name: known.get(name, 0) + int(count) for name, count in zip(names, row, strict=True)}
            self._learning[canary] = latency
            if sum(latency.values()) >= self._rules.slow_history_answers:
                self._fix(canary, latency)
                del self._learning[canary]

    def _fix(self, canary: int, latency: dict[str, int]) -> None:
        rules, answers = self._rules, sum(latency.values())
        for place, (share, allowed) in enumerate(((0.5, 0.5), (0.99, rules.slow_margin_points / 100))):
            limit = max(rules.slow_factor * (quantile(latency, share) or 0.0), rules.slow_floor_seconds)
            first = rounded_up(limit)
            beyond = sum(count for name, count in latency.items() if int(name) >= first) / answers
            self.first_bucket[place, canary] = first
            self.margin[place + 2, canary] = max(allowed - beyond, 0.25 * allowed)
            self.bad[place + 2, canary] = _PRIOR * beyond + 0.5
            self.units[place + 2, canary] = _PRIOR + 1.0
            self.harm[place + 2, canary] = self.safe[place + 2, canary] = 0.0
            self.seen[place + 2, :, canary] = 0
            self.excess[place + 2, canary] = self.weight[place + 2, canary] = 0.0


def _reaches(logarithms: Floats, bound: float) -> Bools:
    """Where the mean of the bets' capitals, [canary, bet], has reached a bound; it never is above the largest."""
    found: Bools = logarithms.max(axis=1) >= bound
    some = logarithms[found]
    most = some.max(axis=1, initial=-np.inf)
    found[found] = most + np.log(np.exp(some - most[:, None]).mean(axis=1)) >= bound
    return found


def _above(latency: Ints, categories: Ints, first: Ints) -> Ints:
    found: Ints = np.where(categories[None, :] >= first[:, None], latency, 0).sum(axis=1)
    return found


def _factors(counted: Counted, bets: Floats, rate: Floats, margin: Floats) -> Floats:
    """The logarithms of an interval's factors, [canary, bet]; any number where an arm is empty."""
    x, n, y, k = (np.asarray(each, dtype=float)[:, None] for each in counted)
    p, d = rate[:, None], margin[:, None]
    if np.any(margin):
        m = _nearest(n, k, bets, p, d)
    else:
        m = (n * bets + k * p) / np.maximum(n + k, 1)
        m = np.where(n + k > 0, m, 0.5)
    u = m + d
    canary = x * np.log(bets / u) + (n - x) * (np.log1p(-bets) - np.log1p(-u))
    found: Floats = canary + y * np.log(p / m) + (k - y) * (np.log1p(-p) - np.log1p(-m))
    return found


def _nearest(n: Floats, k: Floats, bets: Floats, p: Floats, d: Floats) -> Floats:
    low, high = np.maximum(0.0, bets - d), np.minimum(p, 1 - d) + np.zeros_like(bets)
    for _ in range(_HALVINGS):
        m = (low + high) / 2
        u = m + d
        slope = n * (u - bets) / (u * (1 - u)) + k * (m - p) / (m * (1 - m))
        low, high = np.where(slope < 0, m, low), np.where(slope < 0, high, m)
    return (low + high) / 2


def _log_beta(a: Any, b: Any) -> Floats:
    found: Floats = gammaln(a) + gammaln(b) - gammaln(a + b)
    return found
