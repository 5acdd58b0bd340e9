"""Known answers: streams without drift are called stable, however much traffic there is, and drift is found in time."""

import pytest
from drift_verdict import Drift, Exam, Seen, judge, looks_of_a_month

from bench.drift_traffic import DRIFTS, EXAM, STABLE, Traffic, hours, windows, world
from shared.distributions import Baseline, Distributions, Spread
from shared.drift_rules import DriftRules

RULES = DriftRules()
LATE = list(zip(DRIFTS, (12, 180, 20, 24), strict=True))
ALIKE = Baseline("b", {"x": Spread((0.0, 1.0), (100, 200, 300, 0))}, {"label": Spread(("no", "yes"), (500, 100, 0, 0))})


def verdicts(traffic: Traffic, seed: int, rows: int) -> list[Drift]:
    baseline, chance = world(seed)
    looks = windows(hours(traffic, baseline, rows, chance), RULES.periods)
    return [judge(seen, baseline, EXAM, RULES) for seen in looks]


@pytest.mark.parametrize("rows", [60, 2000])
def test_a_month_without_drift_has_no_false_alarm(rows: int) -> None:
    found = verdicts(STABLE, seed=7, rows=rows)
    assert {drift.verdict for drift in found[RULES.periods :]} == {"stable"}


@pytest.mark.parametrize(("traffic", "hours_late"), LATE, ids=[each.name for each in DRIFTS])
def test_drift_is_found_in_time_and_what_drives_it_is_named(traffic: Traffic, hours_late: int) -> None:
    found = verdicts(traffic, seed=8, rows=200)
    first = next(hour for hour, drift in enumerate(found) if drift.verdict == "drifting")
    assert 100 <= first <= 100 + hours_late
    moved = {column.name for drift in found for column in drift.columns if column.drifting}
    assert moved == {"sudden, one feature": {"x3"}, "labels only": set()}.get(traffic.name, moved)
    if traffic.name == "labels only":
        assert "of 960 labelled answers are wrong" in found[first].reasons[0]


def seen(rows: int, counts: tuple[int, ...], labels: tuple[int, ...] = (5, 1, 0, 0)) -> Seen:
    told = Distributions("b", {"x": counts}, {"label": labels})
    return Seen(rows, told)


def test_too_few_rows_are_not_enough_data_and_never_stable() -> None:
    drift = judge(seen(999, (999, 0, 0, 0)), ALIKE, None, RULES)
    assert (drift.verdict, drift.columns) == ("not enough data", ())
    assert drift.reasons[0] == "999 rows, of 1000 that it takes to judge features"


@pytest.mark.parametrize("scale", [10, 10_000])
def test_a_small_shift_is_stable_however_sure_one_can_be_of_it(scale: int) -> None:
    labels = (500 * scale, 100 * scale, 0, 0)
    drift = judge(seen(600 * scale, (110 * scale, 200 * scale, 290 * scale, 0), labels), ALIKE, None, RULES)
    assert drift.verdict == "stable"
    assert drift.columns[0].name == "x"


def test_what_is_answered_is_watched_like_what_is_asked() -> None:
    drift = judge(seen(6000, (1000, 2000, 3000, 0), (1000, 5000, 0, 0)), ALIKE, None, RULES)
    assert drift.verdict == "drifting"
    assert [column.name for column in drift.columns if column.drifting] == ["label"]
    assert drift.reasons[0].startswith("what is answered: label has moved by")


def test_missing_cells_are_a_shift_like_any_other() -> None:
    drift = judge(seen(6000, (500, 1000, 1500, 3000), (5000, 1000, 0, 0)), ALIKE, None, RULES)
    assert [column.name for column in drift.columns if column.drifting] == ["x"]


def test_counts_on_other_bins_say_nothing() -> None:
    other = Seen(5000, Distributions("another", {"x": (1, 2, 3)}, {}))
    assert judge(other, ALIKE, None, RULES).verdict == "not enough data"
    assert judge(other, None, None, RULES).reasons[0] == "the model's training left no baseline"


@pytest.mark.parametrize(("wrong", "verdict"), [(18, "stable"), (27, "stable"), (75, "drifting")])
def test_accuracy_is_held_against_the_exam_and_the_drop_that_matters(wrong: int, verdict: str) -> None:
    labelled = Seen(0, Distributions(), labelled=300, wrong=wrong)
    assert judge(labelled, None, Exam(wrong=12, rows=300), RULES).verdict == verdict


def test_an_hourly_look_is_one_of_720_in_a_month() -> None:
    assert looks_of_a_month(RULES) == 720
    assert looks_of_a_month(DriftRules(period_seconds=1e9)) == 1
