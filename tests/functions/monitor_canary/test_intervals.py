"""Intervals of evidence: what each costs, what is late, when a canary pauses, and how it is watched while it bakes."""

import json
import random
import time
from itertools import pairwise
from typing import Any

import pytest
from interval_closing import due_now
from judge import advance, decide
from judge_state import IntervalCounts, JudgeState, begin

from shared.errors import Transient
from shared.events import EvidenceReported, ModelPromoted, Notification, RollbackRequested, TrafficRequested
from shared.events import TrafficShifted as Shifted
from shared.evidence import Counts
from shared.ledger import Author, Ledger
from shared.logs import Log
from shared.remembering import RememberingStore
from shared.settings import parse
from shared.step import Step
from tests.functions.monitor_canary.evidence_world import FIRST, MODEL, ROLLOUT, RUN, SETTINGS, Canary, push, report
from tests.functions.standing_run import keys, ledger, record
from tests.world.cloud import START
from tests.world.running import data_of, settle

RULES = parse(SETTINGS).evidence


def said(canary: Canary, kind: type) -> list[Any]:
    envelopes = {envelope.id: envelope.payload for envelope in canary.cloud.bus.events()}
    return [payload for payload in envelopes.values() if isinstance(payload, kind)]


def operations(canary: Canary, event: EvidenceReported) -> list[str]:
    """The effects of one delivery, as a function's process that is warm has them."""
    before = len(canary.cloud.door.effects)
    assert canary.tell(event) == 200
    return canary.cloud.door.effects[before:]


def stored(effects: list[str]) -> list[str]:
    return sorted(effect for effect in effects if effect.startswith("storage"))


@pytest.fixture
def warm() -> Canary:
    """A canary whose function remembers records, as in production; it never gets enough requests to go on."""
    canary = Canary()
    canary.cloud.state = RememberingStore(canary.cloud.state)  # type: ignore[assignment]
    return canary


def test_a_report_and_a_closed_interval_cost_the_same_after_two_minutes_as_after_twenty_seconds(warm: Canary) -> None:
    costs = {}
    for second in range(121):
        first = operations(warm, report(second, "1", requests=38))
        second_one = operations(warm, report(second, "2", requests=2))
        costs[second] = (stored(first), stored(second_one))
        settle(warm.cloud, lambda function: function == "notify")  # that labels are missing is told once
        warm.cloud.pass_time(1)
    assert costs[20] == costs[70] == costs[120]
    closing, keeping = costs[120]
    assert (len(closing), len(keeping)) == (12, 5)


def test_an_hour_of_silence_is_gone_through_in_steps_that_each_answer_soon(warm: Canary) -> None:
    warm.second(0)
    warm.cloud.pass_time(3600)
    effects = operations(warm, report(3601, "1", requests=38))
    assert len(effects) < 150
    assert len(warm.intervals()) == 20


def test_a_decision_takes_less_than_5_ms_of_a_core_with_its_records(warm: Canary) -> None:
    for second in range(60):
        warm.second(second, labelled=0, wrong=0)
    opened = ledger(warm.cloud).require(f"{ROLLOUT}/opened")
    author = Author("t", None, None, warm.cloud.now, str)
    step = Step("monitor_canary", warm.cloud, Ledger(warm.cloud.state, author), Log("monitor_canary", "p"))
    times = []
    for _ in range(10):
        warm.cloud.pass_time(1)
        begun = time.process_time()
        due_now(MODEL, 2, opened, RULES, step)
        times.append(time.process_time() - begun)
    assert len(warm.intervals()) == 69
    assert min(times) < 0.005


def shuffled_week(seed: int) -> Canary:
    """Forty seconds whose reports come twice, in any order within the grace, some deliveries dying on the way."""
    chance, canary = random.Random(seed), Canary(steps=(5,))
    held: list[EvidenceReported] = []
    for second in range(40):
        fresh = [
            report(second, "1", requests=38, labelled=760, wrong=38 + second % 5),
            report(second, "2", requests=2, labelled=40, wrong=2 + second % 3),
        ]
        # What was held back for a second comes now; of what is new, anything may be held back: that is the grace.
        held, coming = [event for event in fresh if second < 39 and chance.random() < 0.4], [*held, *fresh]
        coming = [event for event in coming if event not in held]
        chance.shuffle(coming)
        for event in [*coming, *chance.sample(coming, k=len(coming) // 2)]:
            canary.cloud.door.before = {}
            if chance.random() < 0.4:
                broken = getattr(canary.cloud.door, chance.choice(["before", "after"]))
                broken[chance.choice(["storage.create", "storage.read", "storage.list"])] = Transient("x", "timeout")
            while canary.tell(event) != 200:
                pass
        canary.cloud.pass_time(1)
    canary.cloud.door.before.clear()
    canary.cloud.door.after.clear()
    canary.second(40)
    return canary


def facts(canary: Canary) -> dict[int, Any]:
    return {number: {**each, "reports": sorted(each["reports"])} for number, each in canary.intervals().items()}


@pytest.mark.parametrize("seed", range(3))
def test_any_crash_duplicate_or_order_within_the_grace_gives_the_same_records(seed: int) -> None:
    undisturbed = Canary(steps=(5,))
    for second in range(40):
        undisturbed.tell(report(second, "1", requests=38, labelled=760, wrong=38 + second % 5))
        undisturbed.tell(report(second, "2", requests=2, labelled=40, wrong=2 + second % 3))
        undisturbed.cloud.pass_time(1)
    undisturbed.second(40)
    assert facts(shuffled_week(seed)) == facts(undisturbed)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_late_or_lost_a_verdict_is_a_function_of_the_closed_records_before_it(seed: int) -> None:
    chance, canary, waiting = random.Random(seed), Canary(steps=(5,)), list[EvidenceReported]()
    for second in range(60):
        waiting += [report(second, arm, requests=n, labelled=20 * n, wrong=n) for arm, n in (("1", 38), ("2", 2))]
        chance.shuffle(waiting)
        for event in [waiting.pop() for _ in range(chance.randint(0, len(waiting)))]:
            for _ in range(chance.randint(1, 2)):
                assert canary.tell(event) == 200
        canary.cloud.pass_time(1)
    closed = canary.intervals()
    state = begin(RULES)
    for number, facts_ in closed.items():
        assert state.last is None or state.last <= FIRST + number
        if not facts_["left_out"]:
            late = facts_["late_labels"]
            arms = (Counts.from_json(facts_["canary"]), Counts.from_json(facts_["production"]))
            state = advance(state, IntervalCounts(FIRST + number, *arms, *late), RULES, facts_["percent"])
        assert JudgeState.model_validate(facts_["state"]) == state
        assert facts_["verdict"] == json.loads(json.dumps(decide(state, RULES).to_json()))
        listed = [report_[len(ROLLOUT) :] for report_ in facts_["reports"]]
        assert all(f"/reports/{FIRST + number:012d}/" in each for each in listed)
    assert [late - early for early, late in pairwise(closed)] == [1] * (len(closed) - 1)
    stood = {key for each in closed.values() for key in each["reports"]}
    late = {tuple(key.split("/")[-3:]) for each in closed.values() for key in each["late"]}
    told = set(keys(canary.cloud, f"{ROLLOUT}/reports/"))
    missed = {key for key in told - stood if int(key.split("/")[4]) - FIRST in closed}
    markers = {tuple(key.split("/")[-3:]) for key in keys(canary.cloud, f"{ROLLOUT}/late/")}
    assert {(key.split("/")[5], key.split("/")[4], key.split("/")[6]) for key in missed} == markers
    assert late <= markers
    assert sum(each["canary"]["late"] + each["production"]["late"] for each in closed.values()) > 0


def test_a_late_report_is_told_to_one_interval_however_often_it_comes() -> None:
    canary = Canary()
    for second in range(6):
        canary.second(second)
    late = report(2, "2", reporter="slow", requests=50)
    for _ in range(3):
        canary.tell(late)
        canary.cloud.pass_time(3)
        canary.second(20)
    assert sum(each["canary"]["late"] for each in canary.intervals().values()) == 50


def test_too_many_late_reports_of_an_arm_are_not_enough_to_go_on() -> None:
    canary = Canary()
    for second in range(30):
        canary.second(second)
        if second > 3:
            canary.tell(report(second - 3, "2", reporter="slow", requests=1))
    assert said(canary, TrafficRequested) == []
    reasons = list(canary.intervals().values())[-1]["verdict"]["reasons"]
    assert reasons == ["too many late reports: more than 20 % of an arm's requests or labels"]


def test_numbers_that_cannot_be_are_refused_at_once_and_stop_no_interval() -> None:
    canary = Canary()
    canary.tell(report(0, "2", requests=1, labelled=1, wrong=5))
    (notice,) = said(canary, Notification)
    assert notice.why == ("wrong: more than labelled",)
    canary.cloud.pass_time(2)
    canary.second(2)
    assert canary.intervals()[0]["reports"] == []


def test_what_happens_between_an_order_and_its_being_seen_counts_for_no_share() -> None:
    canary = Canary(steps=(5, 25, 100))
    for second in range(2):
        canary.second(second)
    canary.record(f"{ROLLOUT}/steps/000002", {"percent": 25})
    for second in range(2, 5):
        canary.second(second, wrong=40)
    canary.record(f"{ROLLOUT}/shifted/000002", {"percent": 25, "split": {}})
    for second in range(5, 9):
        canary.second(second)
    closed = canary.intervals()
    assert [number for number, each in closed.items() if each["left_out"]] == [0, 2, 3, 4, 5]
    assert [each["percent"] for each in closed.values()] == [0, 5, 5, 5, 5, 5, 25]
    assert closed[6]["state"]["tests"]["wrong"]["canary_bad"] == 2 * 2


def test_when_only_labels_are_missing_people_are_told_once_and_the_canary_waits() -> None:
    canary = Canary()
    for second in range(30):
        canary.second(second, labelled=0, wrong=0)
    (notice,) = said(canary, Notification)
    assert notice.title == "digits: the canary waits for labels"
    assert "labels_required" in (notice.next or "")
    assert said(canary, TrafficRequested) == [] == said(canary, RollbackRequested)
    assert list(canary.intervals().values())[-1]["verdict"]["kind"] == "label_starved"
    for second in range(30, 60):
        canary.second(second)
    assert len(said(canary, TrafficRequested)) == 1


def test_a_regression_goes_on_without_labels_for_no_receipt_asks_for_any() -> None:
    canary = Canary(task="regression")
    for second in range(60):
        canary.second(second, labelled=0, wrong=0)
    assert len(said(canary, TrafficRequested)) == 1
    assert said(canary, Notification) == []


def test_a_split_that_is_not_the_ordered_one_is_a_pause_with_a_notice() -> None:
    canary = Canary()
    for second in range(12):
        canary.second(second, requests=12, labelled=240, wrong=12)
    (notice,) = said(canary, Notification)
    assert "its share of the requests is not the one that was ordered" in notice.title
    assert "24.0 % of this step's requests" in notice.why[0]
    assert said(canary, TrafficRequested) == []


def published(canary: Canary) -> int:
    """How often a notice was said, every repetition counted."""
    return sum(topic == Notification.topic for topic, _ in canary.cloud.bus.history)


def test_a_pause_is_said_until_people_have_been_told_and_then_no_more() -> None:
    canary = Canary()
    canary.cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "a test")
    for second in range(12):
        canary.second(second, requests=12, labelled=240, wrong=12)
    shifted(canary, 1, 5)
    until_told = published(canary)
    assert len(said(canary, Notification)) == 1 < until_told
    settle(canary.cloud, lambda function: function == "notify")
    for second in range(12, 15):
        canary.second(second, requests=12, labelled=240, wrong=12)
    shifted(canary, 1, 5)
    assert published(canary) == until_told


def test_a_silent_canary_loses_its_traffic_as_inconclusive() -> None:
    canary = Canary()
    for second in range(3):
        canary.second(second)
    for second in range(3, 9):
        canary.tell(report(second, "1", requests=38))
        canary.cloud.pass_time(1)
    (left,) = said(canary, RollbackRequested)
    assert (left.inconclusive, left.set_aside) == (True, False)
    assert left.because.startswith("no report of the canary for 3 intervals")


def shifted(canary: Canary, step: int, percent: int) -> None:
    event = Shifted(model=MODEL, run=RUN, rollout=2, step=step, percent=percent, split={"2": percent})
    assert push(canary.cloud, ledger(canary.cloud).envelope(event, f"s{step}")) == 200


def baking() -> Canary:
    """A canary that was compared for half a minute and then given everything."""
    canary = Canary(steps=(5, 100))
    for second in range(30):
        canary.second(second)
    canary.shift(2, 100)
    shifted(canary, 2, 100)
    return canary


def bake(canary: Canary, seconds: range, wrong: int) -> None:
    for second in seconds:
        canary.tell(report(second, "2", requests=40, labelled=800, wrong=wrong))
        canary.cloud.pass_time(1)
        shifted(canary, 2, 100)


def test_a_candidate_that_goes_bad_while_it_bakes_is_rolled_back_against_the_record() -> None:
    canary = baking()
    bake(canary, range(30, 36), wrong=40)
    assert said(canary, RollbackRequested) == []
    bake(canary, range(36, 44), wrong=240)
    (left,) = said(canary, RollbackRequested)
    assert left.set_aside
    assert left.numbers["against"] == "production's record at promotion: there is no concurrent control"
    assert left.numbers["tests"]["wrong"]["recorded_percent"] == 5.0
    assert "production's record is 5.0 %" in left.because
    canary.cloud.pass_time(90_000)
    shifted(canary, 2, 100)
    assert said(canary, ModelPromoted) == []


def test_a_candidate_that_is_a_little_worse_than_the_record_is_left_to_bake_and_promoted() -> None:
    canary = baking()
    bake(canary, range(30, 60), wrong=80)
    assert said(canary, RollbackRequested) == []
    canary.cloud.pass_time(120)
    for _ in range(9):
        shifted(canary, 2, 100)
    assert len(said(canary, ModelPromoted)) == 1


def test_a_candidate_is_not_promoted_before_all_of_its_bake_has_been_judged() -> None:
    canary = baking()
    for second in range(30, 90):
        canary.tell(report(second, "2", requests=40, labelled=800, wrong=240 if second > 70 else 40))
    canary.cloud.pass_time(300)  # while nobody closes an interval
    for _ in range(9):
        shifted(canary, 2, 100)
    assert said(canary, ModelPromoted) == []
    assert said(canary, RollbackRequested)[0].numbers["tests"]["wrong"]["recorded_percent"] == 5.0


def test_a_canary_is_judged_while_a_person_is_asked_about_the_next_run() -> None:
    canary = Canary()
    record(canary.cloud, "decision", {"verdict": "ask"}, run="digits-000003")  # type: ignore[arg-type]
    for second in range(8):
        canary.second(second, wrong=30)
    assert len(said(canary, RollbackRequested)) == 1


def mark(sequence: int, right: bool, reporter: str = "r1") -> list[Any]:
    return [reporter, sequence, right]


def outcomes(canary: Canary, batch: str, second: int, deployed: str, marks: list[list[Any]]) -> None:
    canary.record(f"outcomes/digits/{batch}", {"deployments": {deployed: marks}})
    event = report(second, deployed, labelled=len(marks), outcomes=f"outcomes/digits/{batch}")
    canary.tell(event.model_copy(update={"reporter": f"outcomes:{batch}"}))


def test_a_label_counts_in_the_interval_in_which_it_came_and_once_whatever_batch_names_it() -> None:
    canary = Canary()
    canary.second(0, labelled=0, wrong=0)
    outcomes(canary, "b1", 1, "2", [mark(0, True), mark(1, False)])
    canary.second(1, labelled=0, wrong=0)
    outcomes(canary, "b2", 2, "2", [mark(1, False), mark(2, False), mark(1, True, reporter="r2")])
    for second in range(2, 6):
        canary.second(second, labelled=0, wrong=0)
    counted = [(each["canary"]["labelled"], each["canary"]["wrong"]) for each in canary.intervals().values()]
    assert counted[:4] == [(0, 0), (2, 1), (2, 1), (0, 0)]


def test_a_label_that_an_earlier_rollout_has_counted_counts_for_nobody() -> None:
    canary = Canary()
    outcomes(canary, "b1", 1, "1", [mark(0, True), mark(1, False)])
    for second in range(4):
        canary.second(second, labelled=0, wrong=0)
    assert canary.intervals()[1]["production"]["labelled"] == 760 + 2
    canary.record(f"{ROLLOUT}/verdict", {"decision": "rollback"})
    canary.record(f"{ROLLOUT}/end", {"outcome": "rolled back"})
    opened = data_of(canary.cloud, f"{ROLLOUT}/opened")
    # A rollout whose deployment failed stands between: it has closed nothing.
    for number in (3, 4):
        candidate = {**opened["candidate"], "id": str(number)}
        canary.record(f"rollouts/digits/00000{number}/opened", {**opened, "candidate": candidate})
        if number == 3:
            canary.record("rollouts/digits/000003/end", {"outcome": "failed"})
    outcomes(canary, "b2", 4, "1", [mark(1, False), mark(2, True)])
    for second in range(4, 9):
        canary.second(second)
    kept = data_of(canary.cloud, f"rollouts/digits/000004/intervals/{FIRST + 4:012d}")
    assert kept["production"]["labelled"] == 760 + 1
    assert START.timestamp() == FIRST
