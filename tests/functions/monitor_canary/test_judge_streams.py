"""The judge on made-up traffic of known rates: seeds are fixed, so each of these is the same every time."""

import statistics

import pytest
from judge import advance, decide
from judge_state import begin

from shared.evidence import Counts
from shared.evidence_rules import EvidenceRules
from tests.functions.monitor_canary.canary_streams import DEMO, USUAL, Behaviour, Ended, Traffic, history_of, judged

HISTORY = history_of(USUAL)


def runs(canary: Behaviour, count: int) -> list[Ended]:
    return [judged(seed, canary, history=HISTORY) for seed in range(count)]


def median_requests(ended: list[Ended]) -> float:
    return statistics.median(one.canary_requests for one in ended)


def test_an_unchanged_canary_goes_on() -> None:
    ended = runs(USUAL, 4)
    assert {one.verdict.kind for one in ended} == {"go_on"}
    assert median_requests(ended) <= 2_500


@pytest.mark.parametrize(
    ("canary", "test", "at_most_requests"),
    [
        (Behaviour(wrong=0.2), "wrong", 280),
        (Behaviour(wrong=0.15), "wrong", 900),
        (Behaviour(errors=0.01), "errors", 700),
        (Behaviour(errors=0.05), "errors", 150),
        (Behaviour(median_seconds=0.2), "slow50", 130),
    ],
)
def test_a_worse_canary_is_rolled_back_for_what_is_worse(canary: Behaviour, test: str, at_most_requests: int) -> None:
    ended = runs(canary, 5)
    assert {one.verdict.kind for one in ended} == {"roll_back"}
    assert all(test in one.verdict.tests for one in ended)
    assert median_requests(ended) <= at_most_requests


def test_a_canary_that_fails_every_request_is_rolled_back_on_its_first_interval() -> None:
    assert {one.intervals for one in runs(Behaviour(errors=1.0), 5)} == {1}


def test_a_tail_that_has_doubled_is_seen_though_the_median_has_not_moved() -> None:
    rules = EvidenceRules()
    state = begin(rules, HISTORY)
    assert state.limits is not None
    slow = str(state.limits.slow99.first_bucket + 2)
    for number, interval in enumerate(Traffic(5).intervals(1200, 5, USUAL, USUAL), start=1):
        canary = interval.canary + Counts(requests=2, latency={slow: 2}, reports=0)
        state = advance(state, type(interval)(number, canary, interval.production), rules, 5)
        verdict = decide(state, rules)
        if verdict.kind != "not_enough" or number == 60:
            break
    assert (verdict.kind, verdict.tests) == ("roll_back", ("slow99",))


def test_a_wrong_history_costs_time_and_no_false_rollback() -> None:
    for wrong in (0.01, 0.5):
        history = history_of(Behaviour(wrong=wrong, errors=0.02))
        assert {judged(seed, USUAL, history=history).verdict.kind for seed in range(2)} == {"go_on"}


def test_an_incident_in_both_arms_is_not_the_canarys_fault() -> None:
    rules = EvidenceRules()
    struck = Behaviour(wrong=0.4, errors=0.2, median_seconds=0.5)
    for seed in range(5):
        traffic = Traffic(seed)
        state = begin(rules, HISTORY)
        for number in range(1, 61):
            like = struck if 10 <= number < 30 else USUAL
            interval = next(traffic.intervals(1200, 5, like, like, first=number))
            state = advance(state, interval, rules, 5)
            assert decide(state, rules).kind != "roll_back"


def test_in_the_demo_a_good_canary_passes_5_percent_within_seconds_and_a_bad_one_does_not() -> None:
    production = Behaviour(wrong=0.08, errors=0.0, median_seconds=0.02, spread=1.0)
    better = Behaviour(wrong=0.05, errors=0.0, median_seconds=0.02, spread=1.0)
    worse = Behaviour(wrong=0.25, errors=0.0, median_seconds=0.02, spread=1.0)
    good = [judged(seed, better, production, DEMO, requests=40, rows=20) for seed in range(10)]
    bad = [judged(seed, worse, production, DEMO, requests=40, rows=20) for seed in range(10)]
    assert {one.verdict.kind for one in good} == {"go_on"}
    assert max(one.intervals for one in good) <= 20
    assert {(one.verdict.kind, one.verdict.tests) for one in bad} == {("roll_back", ("wrong",))}
    assert max(one.intervals for one in bad) <= 10
