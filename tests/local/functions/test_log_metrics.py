"""What the local cloud measures from logs is what stands in them, read once, whatever else stands there too."""

import json
from pathlib import Path

import pytest

from local.functions.log_metrics import LogMetrics

HANDLED = {"where": {"message": "handled"}, "labels": ("function", "outcome"), "value": None}
COUNTER = {"name": "deliveries", "help": "deliveries by how they ended", **HANDLED}
SECONDS = {**COUNTER, "name": "seconds", "labels": ("function",), "value": "seconds"}


def log(folder: Path, function: str, *lines: object) -> None:
    with (folder / f"{function}.log").open("a") as file:
        file.writelines(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)


def handled(function: str, outcome: str = "done", seconds: object = 0.02) -> dict[str, object]:
    return {"message": "handled", "function": function, "outcome": outcome, "seconds": seconds}


def told(metrics: LogMetrics) -> dict[str, float]:
    rows = [line.rpartition(" ") for line in metrics.text().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def test_lines_are_counted_by_their_labels(tmp_path: Path) -> None:
    log(tmp_path, "a", handled("a"), handled("a"), handled("a", "later"), {"message": "published"})
    log(tmp_path, "b", handled("b"))
    assert told(LogMetrics([COUNTER], tmp_path)) == {
        'deliveries_total{function="a",outcome="done"}': 2,
        'deliveries_total{function="a",outcome="later"}': 1,
        'deliveries_total{function="b",outcome="done"}': 1,
    }


def test_a_distribution_counts_what_is_at_most_each_bound(tmp_path: Path) -> None:
    log(tmp_path, "a", *(handled("a", seconds=each) for each in (0.005, 0.02, 0.02, 700)))
    found = told(LogMetrics([SECONDS], tmp_path))
    bounds = {bound: found[f'seconds_bucket{{function="a",le="{bound}"}}'] for bound in ("0.005", "0.025", "+Inf")}
    assert bounds == {"0.005": 1, "0.025": 3, "+Inf": 4}
    assert found['seconds_count{function="a"}'] == 4
    assert found['seconds_sum{function="a"}'] == pytest.approx(700.045)


def test_a_line_counts_once_however_often_it_is_asked_and_after_a_restart_again(tmp_path: Path) -> None:
    metrics = LogMetrics([COUNTER], tmp_path)
    log(tmp_path, "a", handled("a"))
    first = told(metrics)
    log(tmp_path, "a", handled("a"))
    assert (sum(first.values()), sum(told(metrics).values()), sum(told(metrics).values())) == (1, 2, 2)
    assert sum(told(LogMetrics([COUNTER], tmp_path)).values()) == 2


def test_a_line_that_is_still_being_written_counts_when_it_is_whole(tmp_path: Path) -> None:
    metrics, line = LogMetrics([COUNTER], tmp_path), json.dumps(handled("a"))
    path = tmp_path / "a.log"
    path.write_text(line[:20])
    assert told(metrics) == {}
    path.write_text(f"{line}\n")
    assert sum(told(metrics).values()) == 1


def test_whatever_else_stands_in_a_log_is_passed_over(tmp_path: Path) -> None:
    log(tmp_path, "a", "Traceback", "{not json", "[1]", "", handled("a", seconds="soon"), handled('a"\n'))
    assert told(LogMetrics([COUNTER, SECONDS], tmp_path))['deliveries_total{function="a\\"\\n",outcome="done"}'] == 1
    assert 'seconds_count{function="a"}' not in told(LogMetrics([SECONDS], tmp_path))
