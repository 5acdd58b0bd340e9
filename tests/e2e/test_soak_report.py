"""A soak has passed when all was done in time and nothing is wrong; else it says why not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.soak_growth import Growth
from tests.e2e.soak_points import Passage, Point, Points
from tests.e2e.soak_report import LEAST_OCCASIONS, LONG_MINUTES, Report, chart, page, rollouts_told

QUADRATIC = Growth("operations per run", 60, (10.0, 20.0, 30.0), (0.0, 0.0, 0.0), ((1, 10), (60, 1200)))


def done(**changes: Any) -> Report:
    given = {"runs_ended": 6, "uploads_dropped": 60, "uploads_recorded": 60} | changes
    report = Report(6, 60, LONG_MINUTES)
    for name, value in given.items():
        setattr(report, name, value)
    return report


def test_a_soak_that_did_all_has_passed() -> None:
    assert done().failures() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"runs_ended": 5}, "5 of 6 runs ended in time"),
        ({"uploads_dropped": 59, "uploads_recorded": 59}, "59 of 60 uploads were dropped"),
        ({"unfinished": ["m: 2 uploads, 1 records"]}, "unfinished: m: 2 uploads, 1 records"),
        ({"broken": ["m: 2 uploads, 1 records"]}, "broken: m: 2 uploads, 1 records"),
        ({"growths": [QUADRATIC]}, "operations per run: the last third cost 3.00 times"),
        ({"points_missed": ["notify before notify.send"]}, "nobody died notify before notify.send"),
        ({"trouble": ["the local cloud did not start again"]}, "did not start again"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, Any], words: str) -> None:
    assert [words in each for each in done(**changes).failures()] == [True]


def test_a_short_soak_need_not_have_hit_every_point() -> None:
    report = done(points_missed=["notify before notify.send"])
    report.minutes_wanted = LONG_MINUTES - 1
    assert report.failures() == []


def test_points_are_told_with_how_often_they_were_hit_and_passed(tmp_path: Path) -> None:
    points, passage = Points(tmp_path), Passage(tmp_path, "notify")
    for _ in range(3):
        passage.done("notify.send", 0)
    points.look()
    for point in points.passed:
        points.slots[point] = set(range(LEAST_OCCASIONS))
    points.hits[Point("notify", "notify.send", "before")] += 2
    report = done()
    report.take_points(points)
    assert report.points == {
        "notify before notify.send": (2, 3),
        "notify after notify.send": (0, 3),
    }
    assert (report.deaths, report.points_missed) == (2, ["notify after notify.send"])


def test_the_report_is_written_as_json_and_as_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    report = done(growths=[replace(QUADRATIC, what="a < b")], broken=["<m>"], memory=[(1.0, 2.0)])
    report.write(tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["passed"], told["runs_ended"], told["growth_factors"]) == (False, 6, {"a < b": 3.0})
    shown = (tmp_path / "report.html").read_text()
    assert "NOT passed" in shown
    assert "&lt;m&gt;" in shown
    assert "<m>" not in shown
    assert "href" not in shown
    assert "src" not in shown
    assert shown.count("<svg") == 2
    assert "NOT" not in page(done())


def test_a_chart_reaches_from_nothing_to_its_highest_value() -> None:
    assert 'points="36.0,236.0 206.0,136.0 376.0,36.0"' in chart("t", "u", [(5, 10), (10, 20)])


def test_each_rollout_is_told_by_how_it_ended() -> None:
    verdicts: list[dict[str, Any] | None] = [
        None, {"decision": "rollback"}, {"decision": "rollback", "inconclusive": True},
        {"decision": "promote", "by": "monitor_canary"}, {"decision": "promote", "by": "the next rollout"},
    ]  # fmt: skip
    records: dict[str, Any] = {f"rollouts/m/{number}/opened": {} for number in range(5)}
    records |= {f"rollouts/m/{number}/verdict": {"data": data} for number, data in enumerate(verdicts) if data}
    assert rollouts_told(records) == dict.fromkeys(
        ["still baking", "rolled back", "inconclusive", "promoted", "superseded while baking"], 1
    )
