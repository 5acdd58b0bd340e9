"""The judge of a bake: it finds what goes bad early or late, and a candidate like the record is left in peace."""

import json
import math

import numpy as np
import pytest
from bake_watch import BakeState, BakeTest, advance_bake, begin_bake, decide_bake
from judge import advance
from judge_state import IntervalCounts, begin

from shared.evidence import Counts
from shared.evidence_rules import EvidenceRules

RULES = EvidenceRules()
ALONE = Counts()


def compared(errors: int = 1, wrong: int = 114) -> BakeState:
    """The start of a bake after ten minutes of comparison; production fails in 0.1 % and errs in 10 %."""
    state = begin(RULES)
    for number in range(10):
        production = Counts(
            requests=1140, errors=errors, labelled=1140, wrong=wrong, latency={"20": 1140 - errors}, reports=1
        )
        canary = Counts(requests=60, labelled=60, wrong=6, latency={"20": 60}, reports=1)
        state = advance(state, IntervalCounts(number, canary, production), RULES, 5)
    return begin_bake(state, RULES)


def minute(chance: np.random.Generator, number: int, errors: float, wrong: float) -> IntervalCounts:
    requests = int(chance.poisson(1200))
    failed = int(chance.binomial(requests, errors))
    right = Counts(
        requests=requests, errors=failed, labelled=requests - failed,
        wrong=int(chance.binomial(requests - failed, wrong)), latency={"20": requests - failed}, reports=1,
    )  # fmt: skip
    return IntervalCounts(number, right, ALONE)


def rolled_back_after(good_minutes: int, errors: float = 0.001, wrong: float = 0.1, seed: int = 1) -> int:
    """How many minutes of being bad it takes after so many good ones."""
    chance, state = np.random.default_rng(seed), compared()
    for number in range(good_minutes + 60):
        bad = number >= good_minutes
        state = advance_bake(state, minute(chance, number, errors if bad else 0.001, wrong if bad else 0.1))
        if decide_bake(state, RULES).kind == "roll_back":
            return number - good_minutes + 1
    return 10_000


@pytest.mark.parametrize("good_minutes", [0, 60, 1200])
def test_what_goes_bad_is_found_within_minutes_whenever_that_is(good_minutes: int) -> None:
    assert 1 <= rolled_back_after(good_minutes, errors=0.03) <= 3
    assert 1 <= rolled_back_after(good_minutes, wrong=0.2) <= 3


def test_a_candidate_like_the_record_or_within_the_margin_is_left_in_peace_for_a_day() -> None:
    chance, state = np.random.default_rng(3), compared()
    for number in range(1440):
        state = advance_bake(state, minute(chance, number, 0.001, 0.115))
        assert decide_bake(state, RULES).kind == "not_enough"


def test_the_bet_is_fair_whatever_the_interval() -> None:
    test = BakeTest(recorded=0.1, margin=0.02)
    units, null = 30, 0.12
    chances = [math.comb(units, bad) * null**bad * (1 - null) ** (units - bad) for bad in range(units + 1)]
    for before in ((), (9,), (2, 12, 3)):
        state = test
        for number, bad in enumerate(before):
            state = state.after(number, bad, units)
        after = [math.exp(state.after(9, bad, units).log_harm) for bad in range(units + 1)]
        expected = sum(chance * capital for chance, capital in zip(chances, after, strict=True))
        assert expected <= math.exp(state.log_harm) * (1 + 1e-9)


def test_an_interval_without_events_changes_nothing_and_nothing_is_known_without_a_record() -> None:
    test = BakeTest(recorded=0.1, margin=0.02)
    assert test.after(1, 0, 0) == test
    assert begin_bake(begin(RULES), RULES).tests == {}


def test_what_is_said_is_about_the_time_since_it_went_bad() -> None:
    chance, state = np.random.default_rng(5), compared()
    for number in range(62):
        state = advance_bake(state, minute(chance, number, 0.001, 0.1 if number < 60 else 0.3))
    verdict = decide_bake(state, RULES)
    assert (verdict.kind, verdict.tests) == ("roll_back", ("wrong",))
    assert verdict.numbers["tests"]["wrong"]["lately"]["since"] == 60
    assert verdict.reasons[0].startswith("wrong: 29.2 % of the last 2421 during the bake")
    assert BakeState.model_validate(json.loads(json.dumps(state.model_dump(mode="json")))) == state
