"""Simulated rollouts: how many canaries each judge rolls back, when, and what that has cost by then.

At first a canary is dark for some minutes, in which production is seen; then it has 5 % for as long as it takes.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from bench.judge_rivals import Seen, all_judges
from bench.judge_traffic import Behaviour, Floats, Ints, Traffic, every_bucket
from bench.judge_twin import TESTS, Twin
from shared.evidence_rules import EvidenceRules

PERCENT = 5
DARK_MINUTES = 3
USUAL = Behaviour()
STRUCK = Behaviour(wrong=0.4, errors=0.2, median_seconds=0.5)
INCIDENT = range(100, 130)
NEVER = -1
_CHUNK = 2_000
_WORKERS = 2


@dataclass(frozen=True)
class Case:
    """A kind of canary; `test` names the kind of bad answers that are counted."""

    name: str
    canary: Behaviour = USUAL
    test: str = "wrong"
    incident: bool = False
    requests_per_minute: float = 1200.0

    def both(self, minute: int) -> tuple[Behaviour, Behaviour]:
        """How canary and production behave in a minute."""
        production = replace(USUAL, cluster=self.canary.cluster)
        return (STRUCK, STRUCK) if self.incident and minute in INCIDENT else (self.canary, production)


@dataclass(frozen=True)
class Ended:
    """When each canary was rolled back, in minutes (or NEVER), after how many requests to it, how many of them bad."""

    minute: Ints
    requests: Ints
    bad: Ints

    @property
    def percent(self) -> float:
        return 100 * float(np.mean(self.minute != NEVER))

    def median(self, values: Ints) -> float:
        """Of those that were rolled back."""
        caught = values[self.minute != NEVER]
        return float(np.median(caught)) if len(caught) else float("nan")

    def curve(self, minutes: int) -> Floats:
        """The percentage rolled back by the end of each minute."""
        reached = [np.mean((self.minute != NEVER) & (self.minute <= minute)) for minute in range(minutes + 1)]
        return 100 * np.array(reached)


def compared(case: Case, canaries: int, minutes: int, seed: int, rules: EvidenceRules) -> dict[str, Ended]:
    """The same canaries before every judge."""
    twin = Twin(canaries, rules, safety=False)
    traffic, buckets = Traffic(seed, canaries, case.requests_per_minute), every_bucket([case.canary, USUAL, STRUCK])
    _dark(twin, traffic, buckets)
    judges = all_judges(canaries, twin, PERCENT)
    test = TESTS.index(case.test)
    requests, bad = np.zeros(canaries, dtype=np.int64), np.zeros(canaries, dtype=np.int64)
    ended = {name: np.full((3, canaries), NEVER) for name in judges}
    for number in range(1, minutes + 1):
        minute = traffic.minute(PERCENT, *case.both(number), buckets)
        seen = Seen(minute, [twin.count(each, minute, PERCENT) for each in range(len(TESTS))])
        requests, bad = requests + minute.canary.requests, bad + seen.counted[test].canary_bad
        for name, judge in judges.items():
            now = judge.rolls_back(seen) & (ended[name][0] == NEVER)
            ended[name][:, now] = np.array([np.full(canaries, number), requests, bad])[:, now]
        if all((each[0] != NEVER).all() for each in ended.values()):
            break
    return {name: Ended(*each) for name, each in ended.items()}


def false_rollbacks(case: Case, canaries: int, minutes: int, seed: int, rules: EvidenceRules) -> Ints:
    """The minute in which each unchanged canary was rolled back, or NEVER; nothing else ever stops it."""
    sizes = [min(_CHUNK, canaries - start) for start in range(0, canaries, _CHUNK)]
    jobs = [(case, size, minutes, seed + place, rules) for place, size in enumerate(sizes)]
    if len(jobs) == 1:
        return _rolled_back(jobs[0])
    with ProcessPoolExecutor(_WORKERS) as pool:
        return np.concatenate(list(pool.map(_rolled_back, jobs)))


def _rolled_back(job: tuple[Case, int, int, int, EvidenceRules]) -> Ints:
    case, canaries, minutes, seed, rules = job
    twin, traffic = Twin(canaries, rules, safety=False), Traffic(seed, canaries, case.requests_per_minute)
    _dark(twin, traffic, every_bucket([USUAL]))
    # From here on only the limits matter, so that few categories of latencies are drawn instead of every bucket.
    limits = np.unique(np.append(0, twin.first_bucket))
    found = np.full(canaries, NEVER)
    for number in range(1, minutes + 1):
        twin.advance(traffic.minute(PERCENT, *case.both(number), limits), PERCENT)
        found[(found == NEVER) & twin.harmful()] = number
    return found


def passed(case: Case, canaries: int, minutes: int, seed: int, rules: EvidenceRules) -> tuple[Floats, Ints]:
    """The percentages rolled back and passed, and the canary requests at which each was passed (or NEVER)."""
    twin, traffic = Twin(canaries, rules), Traffic(seed, canaries, case.requests_per_minute)
    buckets = every_bucket([case.canary, USUAL])
    _dark(twin, traffic, buckets)
    first, requests = np.full(canaries, "not_enough", dtype="<U13"), np.full(canaries, NEVER)
    total = np.zeros(canaries, dtype=np.int64)
    for number in range(1, minutes + 1):
        minute = traffic.minute(PERCENT, *case.both(number), buckets)
        twin.advance(minute, PERCENT)
        total = total + minute.canary.requests
        kinds = twin.kinds()
        now = (first == "not_enough") & np.isin(kinds, ("roll_back", "go_on"))
        first[now] = kinds[now]
        requests[now & (kinds == "go_on")] = total[now & (kinds == "go_on")]
        if (first != "not_enough").all():
            break
    return 100 * np.array([np.mean(first == kind) for kind in ("roll_back", "go_on")]), requests


def _dark(twin: Twin, traffic: Traffic, buckets: Ints) -> None:
    """The minutes in which the canary is deployed and has no traffic yet; more of them where answers are few."""
    dark = 0
    while dark < DARK_MINUTES or not twin.limits_known:
        twin.advance(traffic.minute(0, USUAL, USUAL, buckets), 0)
        dark += 1
