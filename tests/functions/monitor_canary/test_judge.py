import json
import subprocess
import sys
import time
from itertools import islice, pairwise
from pathlib import Path

import pytest
from judge import Verdict, advance, decide
from judge_state import History, IntervalCounts, JudgeState, begin

from shared.evidence import Counts, bucket
from shared.evidence_rules import EvidenceRules
from tests.functions.monitor_canary.canary_streams import USUAL, Behaviour, Traffic, history_of

RULES = EvidenceRules(
    report_seconds=10,
    wrong_margin_points=10,
    error_margin_points=10,
    slow_margin_points=10,
    minimum_requests=60,
    minimum_seconds=50,
    time_limit_seconds=200,
    silent_intervals=3,
)
FAST = str(bucket(0.005))
SLOW = str(bucket(0.5))
HISTORY = History(wrong=0.1, errors=0.0, latency={FAST: 1000})


def seen(requests: int, errors: int = 0, labelled: int = 0, wrong: int = 0, slow: int = 0, late: int = 0) -> Counts:
    fast = requests - errors - slow
    latency = {key: count for key, count in ((FAST, fast), (SLOW, slow)) if count}
    return Counts(
        requests=requests, errors=errors, latency=latency, labelled=labelled, wrong=wrong, reports=1, late=late
    )


GOOD = seen(20, labelled=40, wrong=3)
PRODUCTION = seen(380, labelled=760, wrong=70)
NOTHING = Counts(reports=1)
GONE = Counts()


def fold(
    arms: list[tuple[Counts, Counts]], percent: int = 5, rules: EvidenceRules = RULES, state: JudgeState | None = None
) -> JudgeState:
    state = state or begin(rules, HISTORY)
    for canary, production in arms:
        number = 1 + (state.last or 0)
        state = advance(state, IntervalCounts(number, canary, production), rules, percent)
    return state


def verdict(*arms: tuple[Counts, Counts], percent: int = 5, rules: EvidenceRules = RULES) -> Verdict:
    return decide(fold(list(arms), percent, rules), rules)


def test_a_step_is_passed_when_its_time_its_requests_and_all_evidence_are_there() -> None:
    found = verdict(*[(GOOD, PRODUCTION)] * 5)
    assert (found.kind, found.tests) == ("go_on", ())
    assert [reason.partition(":")[0] for reason in found.reasons] == ["wrong", "errors", "slow99"]


def test_evidence_does_not_shorten_a_step() -> None:
    found = verdict(*[(GOOD, PRODUCTION)] * 4)
    assert (found.kind, found.reasons) == ("not_enough", ("40 of 50 s at 5 %",))


def test_another_share_of_the_traffic_begins_another_step_and_evidence_is_kept() -> None:
    state = fold([(GOOD, PRODUCTION)] * 5)
    quarter = (GOOD, seen(60, labelled=120, wrong=11))
    state = fold([quarter], percent=25, state=state)
    found = decide(state, RULES)
    assert (found.kind, found.reasons) == ("not_enough", ("10 of 50 s at 25 %", "20 of 60 requests at 25 %"))
    assert state.tests["wrong"].canary_units == 240
    assert decide(fold([quarter] * 4, percent=25, state=state), RULES).kind == "go_on"


def test_everything_that_is_missing_is_said() -> None:
    rules = RULES.model_copy(update={"minimum_labels": 50})
    found = verdict((seen(3), seen(60)), rules=rules)
    assert found.kind == "not_enough"
    assert [reason.partition(":")[0] for reason in found.reasons] == [
        "10 of 50 s at 5 %",
        "3 of 60 requests at 5 %",
        "0 of 50 labels",
        "wrong",
        "errors",
        "slow99",
    ]


def test_without_labels_no_step_is_passed_unless_the_rules_say_so() -> None:
    arms = [(seen(20), seen(380))] * 6
    found = verdict(*arms)
    assert found.kind == "not_enough"
    assert [reason.partition(":")[0] for reason in found.reasons] == ["wrong"]
    assert verdict(*arms, rules=RULES.model_copy(update={"labels_required": False})).kind == "go_on"


def test_labels_that_are_not_required_still_cause_a_rollback() -> None:
    rules = RULES.model_copy(update={"labels_required": False})
    found = verdict(*[(seen(20, labelled=40, wrong=20), PRODUCTION)] * 3, rules=rules)
    assert (found.kind, found.tests) == ("roll_back", ("wrong",))


@pytest.mark.parametrize(
    ("canary", "test"),
    [
        (seen(20, labelled=40, wrong=20), "wrong"),
        (seen(20, errors=10), "errors"),
        (seen(20, slow=18), "slow50"),
        (seen(20, slow=7), "slow99"),
    ],
)
def test_harm_is_rolled_back_with_the_numbers_that_show_it(canary: Counts, test: str) -> None:
    found = verdict(*[(canary, PRODUCTION)] * 4)
    assert found.kind == "roll_back"
    assert test in found.tests
    numbers = found.numbers["tests"][test]
    assert numbers["harm"]["e_value"] >= numbers["harm"]["bound"] == 400
    assert numbers["difference_points"] > numbers["margin_points"]
    assert found.reasons[found.tests.index(test)].startswith(f"{test}: ")


def test_harm_that_is_certain_but_too_small_to_matter_is_not_rolled_back() -> None:
    arms = [(seen(2000, errors=60), seen(38_000))] * 3
    found = verdict(*arms)
    assert found.numbers["tests"]["errors"]["harm"]["e_value"] > 400
    assert found.kind == "not_enough"
    strict = RULES.model_copy(update={"error_margin_points": 2.0})
    assert verdict(*arms, rules=strict).tests == ("errors",)


def test_harm_that_matters_but_is_not_certain_is_not_rolled_back() -> None:
    found = verdict((seen(4, errors=1), PRODUCTION))
    assert found.numbers["tests"]["errors"]["difference_points"] == 25.0
    assert found.kind == "not_enough"


def test_harm_comes_before_everything_else() -> None:
    bad = seen(20, errors=20)
    state = fold([(bad, PRODUCTION)] * 3)
    assert decide(fold([(GONE, PRODUCTION)] * 30, state=state), RULES).kind == "roll_back"


def test_an_interval_with_an_empty_arm_is_no_evidence() -> None:
    before = fold([(GOOD, PRODUCTION)] * 2)
    for arms in ((NOTHING, PRODUCTION), (GOOD, NOTHING), (NOTHING, NOTHING)):
        after = fold([arms], state=before)
        for name, test in after.tests.items():
            was = before.tests[name]
            assert (test.harm, test.safety, test.canary_units) == (was.harm, was.safety, was.canary_units)


def test_a_canary_without_any_report_loses_its_traffic() -> None:
    assert verdict(*[(GONE, PRODUCTION)] * 2).kind == "not_enough"
    found = verdict(*[(GONE, PRODUCTION)] * 3)
    assert (found.kind, found.reasons[0]) == (
        "silent",
        "no report of the canary for 3 intervals, while production had traffic",
    )


def test_a_canary_that_reports_but_is_never_asked_is_silent_once_that_is_no_luck() -> None:
    few, many = seen(30), seen(200)
    assert verdict(*[(NOTHING, few)] * 8).kind == "not_enough"
    assert verdict(*[(NOTHING, few)] * 9).kind == "silent"
    assert verdict(*[(NOTHING, many)] * 2).kind == "split_suspect"
    assert verdict(*[(NOTHING, many)] * 3).kind == "silent"


def test_labels_alone_are_no_sign_of_life() -> None:
    assert verdict(*[(Counts(labelled=40, wrong=4), PRODUCTION)] * 3).kind == "silent"


def test_a_canary_is_not_silent_while_production_has_no_traffic_either() -> None:
    assert verdict(*[(GONE, NOTHING)] * 10).kind == "not_enough"


def test_one_request_ends_a_silence() -> None:
    arms = [(GONE, PRODUCTION), (GONE, PRODUCTION), (GOOD, PRODUCTION), (GONE, PRODUCTION), (GONE, PRODUCTION)]
    assert verdict(*arms).kind == "not_enough"


def test_the_time_limit_ends_a_rollout_that_has_found_nothing_and_says_what_was_missing() -> None:
    assert verdict(*[(NOTHING, NOTHING)] * 19).kind == "not_enough"
    found = verdict(*[(NOTHING, NOTHING)] * 20)
    assert (found.kind, found.reasons[0]) == ("out_of_time", "no verdict within 200 s")
    assert "0 of 60 requests at 5 %" in found.reasons


def test_intervals_that_are_left_out_count_as_time() -> None:
    state = begin(RULES, HISTORY)
    for number in (1, 5):
        state = advance(state, IntervalCounts(number, GOOD, PRODUCTION), RULES, 5)
    assert decide(state, RULES).numbers["seconds"] == 50


@pytest.mark.parametrize("arm", ["canary", "production"])
def test_too_many_late_reports_in_either_arm_are_not_enough_evidence(arm: str) -> None:
    late = {"canary": (seen(20, labelled=40, wrong=3, late=6), PRODUCTION), "production": (GOOD, seen(380, late=100))}
    some = {"canary": (seen(20, labelled=40, wrong=3, late=4), PRODUCTION), "production": (GOOD, seen(380, late=90))}
    rules = RULES.model_copy(update={"labels_required": False})
    found = verdict(*[late[arm]] * 6, rules=rules)
    assert found.kind == "not_enough"
    assert found.reasons == ("too many late reports: more than 20 % of an arm's requests or labels",)
    assert verdict(*[some[arm]] * 6, rules=rules).kind == "go_on"


def test_while_the_canary_is_dark_nothing_is_judged_but_production_is_learnt() -> None:
    dark = fold([(NOTHING, PRODUCTION)] * 40, percent=0, state=begin(RULES))
    found = decide(dark, RULES)
    assert (found.kind, found.reasons) == ("not_enough", ("the canary has no traffic yet",))
    assert dark.limits is not None
    assert dark.tests["wrong"].units_before > 1000
    assert decide(fold([(GOOD, PRODUCTION)] * 5, state=dark), RULES).kind == "go_on"


def test_probes_of_a_dark_canary_are_no_evidence() -> None:
    dark = fold([(seen(20, errors=20), PRODUCTION)] * 3, percent=0, state=begin(RULES))
    assert dark.tests["errors"].canary_units == 0


def test_what_is_slow_is_fixed_once_for_the_whole_rollout() -> None:
    state = begin(RULES, HISTORY)
    assert state.limits is not None
    assert state.limits.slow50.seconds == pytest.approx(0.02, rel=0.19)
    assert fold([(seen(20, slow=20), seen(380, slow=380))] * 5, state=state).limits == state.limits


def test_without_history_the_limits_come_from_production_and_only_later_answers_count() -> None:
    few = fold([(seen(5, slow=5), seen(90))], state=begin(RULES))
    assert few.limits is None
    assert "90 of 100 answers of production" in decide(few, RULES).reasons[-1]
    enough = fold([(seen(5, slow=5), seen(10))], state=few)
    assert enough.limits is not None
    assert enough.tests["slow50"].canary_units == 0
    assert fold([(seen(5), seen(90))], state=enough).tests["slow50"].canary_units == 5


def test_the_margin_of_slow_answers_is_what_production_leaves_of_it() -> None:
    history = History(latency={FAST: 980, SLOW: 15, str(bucket(5.0)): 5})
    state = begin(RULES, history)
    assert state.limits is not None
    assert state.limits.slow99.seconds > 0.5
    assert state.limits.slow99.margin == pytest.approx(0.10 - 0.005)
    assert state.limits.slow50.margin == pytest.approx(0.50 - 0.020)


def test_a_shift_of_both_arms_while_the_share_changes_is_no_difference() -> None:
    calm = [(seen(50, errors=1), seen(950, errors=19))] * 4
    struck = [(seen(500, errors=150), seen(500, errors=150))] * 4
    state = fold(struck, percent=50, state=fold(calm))
    assert state.tests["errors"].estimate == pytest.approx(0.0, abs=1e-12)
    assert decide(state, RULES).kind != "roll_back"


def test_an_interval_is_judged_once_and_in_its_order() -> None:
    state = fold([(GOOD, PRODUCTION)] * 3)
    for number in (2, 3):
        with pytest.raises(ValueError, match="judged"):
            advance(state, IntervalCounts(number, GOOD, PRODUCTION), RULES, 5)


def intervals_of(seed: int, canary: Behaviour) -> list[tuple[int, IntervalCounts]]:
    """Forty intervals: two dark ones, then 5 %, then 25 %."""
    traffic = Traffic(seed)
    shares = [0] * 2 + [5] * 20 + [25] * 18
    return [
        (share, next(traffic.intervals(600, share, canary, USUAL, first=number)))
        for number, share in enumerate(shares, start=1)
    ]


@pytest.mark.parametrize("wrong", [0.1, 0.2])
def test_a_restart_after_every_interval_changes_no_verdict_to_the_last_bit(wrong: float) -> None:
    rules = EvidenceRules()
    whole = restarted = begin(rules, history_of(USUAL, requests=500))
    for share, interval in intervals_of(4, Behaviour(wrong=wrong)):
        restarted = JudgeState.model_validate_json(restarted.model_dump_json())
        whole = advance(whole, interval, rules, share)
        restarted = advance(restarted, interval, rules, share)
        assert restarted == whole
        assert decide(restarted, rules) == decide(whole, rules)


def test_a_verdict_and_a_state_are_json_that_stays_small() -> None:
    state = begin(RULES)
    for share, interval in intervals_of(3, USUAL):
        state = advance(state, interval, RULES, share)
        found = decide(state, RULES)
        assert json.loads(json.dumps(found.to_json(), allow_nan=False))["kind"] == found.kind
    assert len(state.model_dump_json()) < 6_000


def test_a_decision_takes_less_than_5_ms() -> None:
    arms = [interval for _, interval in intervals_of(1, USUAL)]
    state = begin(RULES, HISTORY)
    times = [time.process_time()]
    for interval in arms:
        state = advance(state, interval, RULES, 5)
        decide(state, RULES)
        times.append(time.process_time())
    assert min(after - before for before, after in pairwise(islice(times, 5, None))) < 0.005


def test_the_judge_starts_without_numpy_and_scipy() -> None:
    root = Path(__file__).parents[3]
    folders = [str(root), str(root / "functions" / "monitor_canary")]
    code = f"import sys; sys.path[:0] = {folders}; import judge; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "scipy"} & set(loaded)
