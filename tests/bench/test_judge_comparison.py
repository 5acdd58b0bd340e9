"""The other judges do as documented, traffic is as described, table and picture hold what was measured."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from bench.judge import WORSE
from bench.judge_picture import DOCS, Panel, keep_table, picture
from bench.judge_rivals import MannWhitney, RepeatedZ, Seen, Threshold, quantiles
from bench.judge_traffic import Arm, Behaviour, Minute, Traffic, every_bucket
from bench.judge_twin import Counted
from shared.evidence import EDGES_SECONDS, quantile

BUCKETS = every_bucket([Behaviour()])


def test_a_minute_is_of_the_rates_that_were_asked_for() -> None:
    like = Behaviour(wrong=0.2, errors=0.01)
    minute = Traffic(1, 20_000, 1200).minute(5, like, Behaviour(), BUCKETS)
    canary, production = minute.canary, minute.production
    assert (canary.requests.mean(), production.requests.mean()) == pytest.approx((60, 1140), rel=0.01)
    assert canary.errors.sum() / canary.requests.sum() == pytest.approx(0.01, rel=0.05)
    assert canary.wrong.sum() / canary.labelled.sum() == pytest.approx(0.2, rel=0.02)
    assert (production.latency.sum(axis=1) == production.requests - production.errors).all()
    total = {str(name): int(count) for name, count in zip(BUCKETS, production.latency.sum(axis=0), strict=True)}
    assert quantile(total, 0.5) == pytest.approx(0.1, rel=0.03)
    assert quantile(total, 0.99) == pytest.approx(0.32, rel=0.05)


def test_a_tail_is_made_longer_and_nothing_else() -> None:
    usual, tail = Behaviour(), Behaviour(tail_from=0.98, tail_factor=2.0)
    assert tail.within(0.1) == usual.within(0.1) == 0.5
    assert tail.within(0.5) == pytest.approx(0.98)
    assert tail.within(0.64) == pytest.approx(usual.within(0.32))


def test_quantiles_of_many_rows_are_those_of_one() -> None:
    minute = Traffic(2, 30, 200).minute(50, Behaviour(), Behaviour(), BUCKETS)
    found = quantiles(minute.canary.latency, BUCKETS, 0.99)
    rows = [{str(name): int(count) for name, count in zip(BUCKETS, row, strict=True)} for row in minute.canary.latency]
    assert found == pytest.approx([quantile(row, 0.99) for row in rows])


def constant(values: list[float]) -> np.ndarray:
    return np.array([values])


def test_a_clear_increase_of_a_metric_is_high_and_a_decrease_or_none_is_not() -> None:
    chance = np.random.default_rng(3)
    control = chance.normal(100, 5, 60)
    higher, lower = constant(list(chance.normal(150, 5, 60))), constant(list(chance.normal(50, 5, 60)))
    assert MannWhitney.is_high(higher, constant(list(control))).all()
    assert not MannWhitney.is_high(lower, constant(list(control))).any()
    assert not MannWhitney.is_high(constant(list(chance.normal(100, 5, 60))), constant(list(control))).any()


def test_sparse_errors_beside_a_baseline_of_none_pass_as_its_users_report() -> None:
    sparse = [0.0] * 45 + [0.02] * 15
    assert not MannWhitney.is_high(constant(sparse), constant([0.0] * 60)).any()


def minute_of(errors: int, wrong: int, slow: int) -> Minute:
    def arm(errors: int, wrong: int, slow: int) -> Arm:
        latency = np.array([[1000 - errors - slow, slow]])
        return Arm(*(np.array([each]) for each in (1000, errors, 1000 - errors, wrong)), latency)

    return Minute(arm(errors, wrong, slow), arm(0, 0, 0), np.array([0, 37]))


@pytest.mark.parametrize(("errors", "wrong", "slow"), [(60, 0, 0), (0, 130, 0), (0, 0, 20)])
def test_a_threshold_is_over_at_the_fourth_failed_measurement(errors: int, wrong: int, slow: int) -> None:
    judge, seen = Threshold(1), Seen(minute_of(errors, wrong, slow), [])
    assert [bool(judge.rolls_back(seen)[0]) for _ in range(20)] == [False] * 19 + [True]
    fine = Threshold(1)
    assert not any(fine.rolls_back(Seen(minute_of(40, 100, 5), []))[0] for _ in range(60))
    assert EDGES_SECONDS[36] == pytest.approx(0.512)


def test_the_z_test_is_that_of_the_books() -> None:
    def counted(bad: int) -> list[Counted]:
        return [Counted(*(np.array([each]) for each in (bad, 100, 100, 1000)))] * 4

    # 10 % of 1,000 against x of 100: pooled, z is 1.96 between 16 and 17
    assert not RepeatedZ(1).rolls_back(Seen(minute_of(0, 0, 0), counted(16)))[0]
    assert RepeatedZ(1).rolls_back(Seen(minute_of(0, 0, 0), counted(17)))[0]


def test_the_picture_is_well_formed_and_holds_a_curve_per_judge() -> None:
    curves = {name: np.linspace(0, 100, 7) for name in ("a", "b & c", "d", "e")}
    root = ET.fromstring(picture([Panel("one", "minutes", 6, curves), Panel("two", "minutes", 6, curves)]))
    lines = [each for each in root.iter("{http://www.w3.org/2000/svg}polyline") if each.get("stroke-width") == "2"]
    assert len(lines) == 8


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (DOCS / "judge.md").read_text()
    page.write_text(text)
    keep_table(page, ["canary", "Serin"], [["good", "0 %"]])
    once = page.read_text()
    keep_table(page, ["canary", "Serin"], [["good", "0 %"]])
    assert page.read_text() == once
    assert "| good | 0 % |" in once and once.splitlines()[0] == text.splitlines()[0]
    assert once.splitlines()[-1] == text.splitlines()[-1]


def test_the_page_holds_a_measured_row_for_every_kind_of_canary() -> None:
    text = (DOCS / "judge.md").read_text()
    for case, _ in WORSE:
        assert re.search(rf"^\| {re.escape(case.name)} \|( [\d.]+ %.* \|){{4}}$", text, re.MULTILINE), case.name
    assert (DOCS / "judge.svg").exists()
