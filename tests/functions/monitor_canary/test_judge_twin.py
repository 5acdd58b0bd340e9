"""The twin that the bench simulates with is the judge: on random streams every number and verdict is the same."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from judge_state import SAFETY_TESTS, TESTS

from bench.judge_traffic import Arm, Behaviour, Minute, Traffic, every_bucket
from bench.judge_twin import TESTS as TWIN_TESTS
from bench.judge_twin import Twin
from shared.evidence import Counts
from shared.evidence_rules import EvidenceRules

CANARIES = 12
USUAL = Behaviour()
STEPS = [0] * 3 + [5] * 12 + [25] * 8 + [50] * 6
QUICK = EvidenceRules(minimum_requests=50, minimum_seconds=120, time_limit_seconds=1200, wrong_margin_points=4)


def counts(arm: Arm, canary: int, names: list[str]) -> Counts:
    latency = {name: int(count) for name, count in zip(names, arm.latency[canary], strict=True) if count}
    requests, errors, labelled, wrong = (int(each[canary]) for each in arm[:4])
    return Counts(
        requests=requests, errors=errors, rows=labelled, latency=latency, labelled=labelled, wrong=wrong, reports=1
    )


class Both:
    """The judge and its twin on the same canaries."""

    def __init__(self, rules: EvidenceRules) -> None:
        self.rules, self.twin = rules, Twin(CANARIES, rules)
        # Looked up now: a test may have put a mistake into one of them.
        self.judge, self.values = importlib.import_module("judge"), importlib.import_module("judge_state")
        self.states: list[Any] = [self.values.begin(rules)] * CANARIES

    def advance(self, number: int, minute: Minute, percent: int) -> None:
        names = [str(each) for each in minute.categories]
        self.twin.advance(minute, percent)
        arms = [
            (counts(minute.canary, each, names), counts(minute.production, each, names)) for each in range(CANARIES)
        ]
        self.states = [
            self.judge.advance(state, self.values.IntervalCounts(number, *pair), self.rules, percent)
            for state, pair in zip(self.states, arms, strict=True)
        ]

    def compare(self) -> set[str]:
        verdicts = [self.judge.decide(state, self.rules).kind for state in self.states]
        assert list(self.twin.kinds()) == verdicts
        for place, name in enumerate(TESTS):
            tests = [state.tests[name] for state in self.states]
            assert self.twin.harm[place] == pytest.approx(np.array([test.harm for test in tests]), rel=1e-9, abs=1e-9)
            if name in SAFETY_TESTS:
                safe = np.array([test.safety for test in tests])
                assert self.twin.safe[place] == pytest.approx(safe, rel=1e-6, abs=1e-7)
            seen = [(t.canary_bad, t.canary_units, t.production_bad, t.production_units) for t in tests]
            assert self.twin.seen[place].T.tolist() == [list(each) for each in seen]
            estimates = self.twin.excess[place] / np.maximum(self.twin.weight[place], 1e-300)
            assert estimates == pytest.approx([test.estimate or 0.0 for test in tests])
        assert self.twin.log_split() == pytest.approx([state.log_split for state in self.states], abs=1e-6)
        return set(verdicts)


def streams(canary: Behaviour, requests: float, seed: int = 7) -> Callable[[int], Minute]:
    traffic, buckets = Traffic(seed, CANARIES, requests), every_bucket([canary, USUAL])
    return lambda percent: traffic.minute(percent, canary, USUAL, buckets)


@pytest.mark.parametrize(
    ("canary", "requests", "verdicts"),
    [
        (USUAL, 600, {"not_enough", "go_on"}),
        (Behaviour(wrong=0.2, errors=0.02), 600, {"not_enough", "roll_back"}),
        (Behaviour(median_seconds=0.15), 600, {"not_enough", "roll_back"}),
        (USUAL, 20, {"not_enough", "out_of_time"}),
        (Behaviour(errors=1.0), 40, {"not_enough", "roll_back"}),
    ],
)
def test_the_twin_says_what_the_judge_says_after_every_interval(
    canary: Behaviour, requests: float, verdicts: set[str]
) -> None:
    both, minute = Both(QUICK), streams(canary, requests)
    found: set[str] = set()
    for number, percent in enumerate(STEPS):
        both.advance(number, minute(percent), percent)
        found |= both.compare()
    assert verdicts <= found
    assert TWIN_TESTS == TESTS


def test_the_twin_sees_another_split_and_a_canary_that_nobody_asks_as_the_judge_does() -> None:
    both, found = Both(QUICK), set()
    minute = streams(USUAL, 400)
    for number, percent in enumerate([0, 0, *[5] * 15]):
        drawn = minute(10 if percent and number < 9 else 0)
        both.advance(number, drawn, percent)
        found |= both.compare()
    assert {"split_suspect", "silent"} <= found


def test_the_comparison_notices_a_twin_that_is_not_the_judge() -> None:
    both = Both(QUICK)
    both.twin = Twin(CANARIES, QUICK.model_copy(update={"wrong_margin_points": 4.1}))
    minute = streams(USUAL, 600)
    with pytest.raises(AssertionError):
        for number, percent in enumerate(STEPS):
            both.advance(number, minute(percent), percent)
            both.compare()
