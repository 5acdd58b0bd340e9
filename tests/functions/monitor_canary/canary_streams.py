"""Made-up traffic with known rates: what two arms would report, interval by interval."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from judge import Verdict, advance, decide
from judge_state import History, IntervalCounts, JudgeState, begin

from shared.evidence import EDGES_SECONDS, Counts
from shared.evidence_rules import EvidenceRules


@dataclass(frozen=True)
class Behaviour:
    """How a deployment answers: share of wrong labels and of errors; latencies are lognormal, of this median."""

    wrong: float = 0.1
    errors: float = 0.001
    median_seconds: float = 0.1
    spread: float = 0.5


@dataclass(frozen=True)
class Ended:
    """How a rollout came out: the last verdict, after how many intervals with traffic and canary requests."""

    verdict: Verdict
    intervals: int
    canary_requests: int


USUAL = Behaviour()
DEMO = EvidenceRules(
    report_seconds=1,
    wrong_margin_points=8,
    error_margin_points=25,
    slow_margin_points=25,
    slow_floor_seconds=0.5,
    minimum_requests=10,
    minimum_seconds=3,
    time_limit_seconds=120,
    silent_intervals=20,
)
"""Like the demo's settings: wide margins, short intervals, requests of many rows whose labels count per row."""


class Traffic:
    """Draws what an arm reports."""

    def __init__(self, seed: int, rows: int = 1) -> None:
        self._chance = np.random.default_rng(seed)
        self._rows = rows

    def arm(self, mean_requests: float, like: Behaviour) -> Counts:
        requests = int(self._chance.poisson(mean_requests))
        errors = int(self._chance.binomial(requests, like.errors))
        answers = requests - errors
        seconds = like.median_seconds * np.exp(like.spread * self._chance.standard_normal(answers))
        found, counts = np.unique(np.searchsorted(EDGES_SECONDS, seconds), return_counts=True)
        labelled = answers * self._rows
        return Counts(
            requests=requests,
            errors=errors,
            rows=labelled,
            latency={str(key): int(count) for key, count in zip(found, counts, strict=True)},
            labelled=labelled,
            wrong=int(self._chance.binomial(labelled, like.wrong)),
            reports=1,
        )

    def intervals(
        self, requests: float, percent: int, canary: Behaviour, production: Behaviour, first: int = 1
    ) -> Iterator[IntervalCounts]:
        """Interval after interval, without end."""
        while True:
            one = self.arm(requests * percent / 100, canary)
            yield IntervalCounts(first, one, self.arm(requests * (1 - percent / 100), production))
            first += 1


def history_of(like: Behaviour, seed: int = 99, requests: int = 20_000) -> History:
    """What is known of production when it was watched for long."""
    seen = Traffic(seed).arm(requests, like)
    return History(wrong=like.wrong, errors=like.errors, latency=seen.latency)


def judged(
    seed: int,
    canary: Behaviour,
    production: Behaviour = USUAL,
    rules: EvidenceRules | None = None,
    history: History | None = None,
    requests: float = 1200,
    rows: int = 1,
    limit: int = 360,
) -> Ended:
    """A canary at 5 % until its first verdict that is not "not enough"."""
    rules = rules or EvidenceRules()
    state: JudgeState = begin(rules, history)
    total = 0
    for interval in Traffic(seed, rows).intervals(requests, 5, canary, production):
        state = advance(state, interval, rules, 5)
        verdict = decide(state, rules)
        total += interval.canary.requests
        if verdict.kind != "not_enough" or interval.number == limit:
            return Ended(verdict, interval.number, total)
    raise AssertionError("traffic has no end")
