"""Counts on the baseline's bins mean the same wherever they are counted, and add up in any order."""

import json
import math
import random
from typing import Any

import pytest

from shared.distributions import (
    Baseline,
    Distributions,
    Spread,
    baseline_json,
    distributions_of,
    on_edges,
    on_values,
)
from shared.errors import BadInput
from shared.events import EvidenceReported
from shared.ids import ModelName, RunId

SIZE = Spread((0.0, 1.0, 2.5), (1, 20, 30, 2, 4))
COLOUR = Spread(("blue", "red"), (25, 30, 0, 2))
LABEL = Spread(("no", "yes"), (27, 30, 0, 0))


def test_a_baseline_is_read_as_it_was_written() -> None:
    content = baseline_json({"size": SIZE, "colour": COLOUR}, {"label": LABEL})
    baseline = Baseline.parse(content)
    assert (baseline.features, baseline.predictions) == ({"size": SIZE, "colour": COLOUR}, {"label": LABEL})
    assert baseline.id == Baseline.parse(content).id
    assert baseline.id != Baseline.parse(baseline_json({"size": SIZE}, {"label": LABEL})).id


def baseline(**features: Any) -> bytes:
    return json.dumps({"features": features}).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not spreads"),
        (b"[" * 100_000, "not spreads"),
        (b"[]", "not spreads"),
        (b'{"features": {"size": 5}}', "not spreads"),
        (b'{"features": {"size": {}}}', "not spreads"),
        (baseline(size={"edges": ["low"], "counts": [0, 0, 0]}), "not spreads"),
        (baseline(size={"edges": [], "counts": []}), "size: no bins"),
        (baseline(size={"edges": [1, 1], "counts": [0] * 4}), "size: edges do not ascend"),
        (baseline(size={"edges": [math.nan], "counts": [0] * 3}), "size: edges do not ascend"),
        (baseline(size={"edges": [1, 2], "counts": [0] * 3}), "size: 3 counts for 2"),
        (baseline(size={"edges": [1, 2], "counts": [0, 0, 0, -1]}), "size: a count below 0"),
        (baseline(colour={"values": ["red", "red"], "counts": [0] * 4}), "colour: a value stands twice"),
        (baseline(size={"edges": list(range(99_999)), "counts": [0] * 100_001}), "more than 100000 counts"),
    ],
)
def test_what_is_no_baseline_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        Baseline.parse(content)


def test_an_edge_begins_the_bin_above_it_and_nothing_is_left_out() -> None:
    cells = [-math.inf, -1.0, 0.0, 0.5, 1.0, 2.4, 2.5, 1e38, math.inf, math.nan]
    assert on_edges(cells, (0.0, 1.0, 2.5)) == (2, 2, 2, 3, 1)
    assert on_edges([], (0.0,)) == (0, 0, 0)


def test_numbers_are_counted_in_the_32_bits_that_the_models_see() -> None:
    # 0.1 is a little more in 32 bits than in 64; whoever counts has it in the same bin.
    assert on_edges([0.1], (0.1000000001,)) == (0, 1, 0)


def test_texts_are_known_other_or_missing() -> None:
    assert on_values(["red", "green", "", None, "red", "blue"], ("blue", "red")) == (1, 2, 1, 2)


def test_what_is_counted_on_a_spreads_bins_is_counted_as_numbers_or_as_texts() -> None:
    assert SIZE.counted([0.5, 3.0]) == (0, 1, 0, 1, 0)
    assert COLOUR.counted(["red", None]) == (0, 1, 0, 1)


def spread_report(**counts: Any) -> EvidenceReported:
    return EvidenceReported(
        model=ModelName("toys"), run=RunId("toys-000001"), endpoint="serin-toys", deployed_model="1", reporter="abcd",
        interval=7, report_seconds=60.0, **counts,
    )  # fmt: skip


def test_reports_add_up_in_any_order() -> None:
    reports = [
        distributions_of(
            spread_report(baseline="b", features={"size": (number, 0, 1)}, predictions={"label": (1, number)})
        )
        for number in range(20)
    ]
    reports.append(Distributions())
    random.Random(1).shuffle(reports)
    assert sum(reports, Distributions()) == Distributions("b", {"size": (190, 0, 20)}, {"label": (20, 190)})


def test_counts_on_the_bins_of_two_baselines_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Distributions("a", {"size": (1,)}) + Distributions("b", {"size": (1,)})


@pytest.mark.parametrize("where", ["features", "predictions"])
def test_a_report_cannot_count_below_nothing(where: str) -> None:
    with pytest.raises(BadInput, match="below 0"):
        distributions_of(spread_report(baseline="b", **{where: {"size": (1, -1)}}))
