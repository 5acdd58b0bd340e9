"""What the judge promises, simulated with fixed seeds by its twin: the short form of `make bench SUBJECTS=judge`."""

import numpy as np
import pytest

from bench.judge import MARGINS, RULES, WORSE, Target
from bench.judge_runs import NEVER, Case, compared, false_rollbacks, passed
from bench.judge_traffic import Behaviour

CASES = {case.name: (case, target) for case, target in WORSE}
TARGETS = [pytest.param(case, target, id=case.name) for case, target in WORSE if target is not None]


@pytest.mark.parametrize("incident", [False, True])
def test_of_600_unchanged_canaries_in_six_hours_hardly_one_is_rolled_back(incident: bool) -> None:
    minute = false_rollbacks(Case("unchanged", incident=incident), 600, 360, 1, RULES)
    assert 100 * np.mean(minute != NEVER) <= 0.6


@pytest.mark.parametrize("case", MARGINS, ids=[case.name for case in MARGINS])
def test_a_canary_worse_by_exactly_the_margin_is_hardly_ever_passed(case: Case) -> None:
    (_, promoted), _ = passed(case, 150, 90, 2, RULES)
    assert promoted <= 5.0


def test_an_unchanged_canary_is_passed_within_two_thousand_of_its_requests() -> None:
    (left, promoted), requests = passed(Case("unchanged"), 60, 120, 3, RULES)
    assert left == 0.0
    assert promoted >= 95.0
    assert np.median(requests) <= 2_000


@pytest.mark.parametrize(("case", "target"), TARGETS)
def test_half_of_the_worse_canaries_are_rolled_back_within_so_many_requests(case: Case, target: Target) -> None:
    ours = compared(case, 250, 90, 11, RULES)["Serin"]
    assert ours.percent > 90
    assert ours.median(ours.requests) <= target.requests
    assert target.bad is None or ours.median(ours.bad) <= target.bad


def test_a_canary_that_fails_every_request_is_rolled_back_on_its_first_closed_interval() -> None:
    case, _ = CASES["every request fails"]
    assert set(compared(case, 50, 5, 5, RULES)["Serin"].minute) == {1}


def test_the_others_pay_for_speed_with_good_canaries_or_miss_rare_errors() -> None:
    good = compared(Case("unchanged"), 100, 240, 6, RULES)
    assert good["Serin"].percent <= 1
    assert good["repeated z"].percent > 40
    assert good["threshold"].percent > 40
    errors = compared(Case("errors", Behaviour(errors=0.01), "errors"), 100, 60, 7, RULES)
    assert errors["Serin"].percent > 95
    assert errors["Mann-Whitney"].percent < 20


def test_a_judge_that_asks_for_less_evidence_is_noticed() -> None:
    careless = RULES.model_copy(update={"false_rollback_percent": 60.0, "wrong_margin_points": 0.05})
    minute = false_rollbacks(Case("unchanged"), 200, 60, 1, careless)
    assert 100 * np.mean(minute != NEVER) > 0.6


def test_labels_that_depend_on_each_other_are_not_covered_as_the_page_says() -> None:
    minute = false_rollbacks(Case("clusters", Behaviour(cluster=10)), 150, 120, 9, RULES)
    assert 100 * np.mean(minute != NEVER) > 5
