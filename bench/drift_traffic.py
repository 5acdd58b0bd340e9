"""A month of a live model in hourly periods, with and without drift: streams whose answer is known."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng

from shared.distributions import Baseline, Distributions, Spread, on_edges

sys.path.append(str(Path(__file__).parents[1] / "functions" / "detect_drift"))
drift_verdict: Any = import_module("drift_verdict")  # a function's own modules are no package
COLUMNS = tuple(f"x{place}" for place in range(10))
EXAM = drift_verdict.Exam(wrong=40, rows=1000)
HOURS = 720


@dataclass(frozen=True)
class Traffic:
    """What is asked in an hour: the shift of each column's mean in standard deviations, the rate of wrong answers."""

    name: str
    shift: Callable[[int, str], float]
    wrong: Callable[[int], float] = lambda _: 0.04


def steady(hour: int, column: str) -> float:
    del hour, column
    return 0.0


STABLE = Traffic("no drift", steady)
DRIFTS = (
    Traffic("sudden, every feature", lambda hour, _: 0.8 if hour >= 100 else 0.0),
    Traffic("gradual, every feature", lambda hour, _: max(0.0, (hour - 100) / 240)),
    Traffic("sudden, one feature", lambda hour, column: 1.0 if hour >= 100 and column == "x3" else 0.0),
    Traffic("labels only", steady, lambda hour: 0.18 if hour >= 100 else 0.04),
)


def baseline_of(chance: Generator, rows: int) -> Baseline:
    """Ten columns of a standard normal, on the deciles of a sample, as training would have it."""
    spreads = {}
    for name in COLUMNS:
        sample = chance.standard_normal(rows)
        edges = tuple(float(edge) for edge in np.quantile(sample, np.linspace(0, 1, 11)))
        spreads[name] = Spread(edges, on_edges(sample, edges))
    return Baseline("baseline", spreads, {})


def hours(traffic: Traffic, baseline: Baseline, rows: int, chance: Generator) -> Iterator[Any]:
    """What each hour's reports add up to; every fifth row is labelled."""
    for hour in range(HOURS):
        features = {
            name: on_edges(chance.normal(traffic.shift(hour, name), 1.0, rows), spread.bins)  # type: ignore[arg-type]
            for name, spread in baseline.features.items()
        }
        labelled = rows // 5
        wrong = int(chance.binomial(labelled, traffic.wrong(hour)))
        yield drift_verdict.Seen(rows, Distributions(baseline.id, features, {}), labelled, wrong)


def windows(each: Iterator[Any], periods: int) -> Iterator[Any]:
    """The last `periods` hours together, hour by hour."""
    kept: list[Any] = []
    for seen in each:
        kept = [*kept, seen][-periods:]
        features = {
            name: tuple(int(n) for n in np.sum([one.distributions.features[name] for one in kept], axis=0))
            for name in COLUMNS
        }
        yield drift_verdict.Seen(
            sum(one.rows for one in kept), Distributions(seen.distributions.baseline, features, {}),
            sum(one.labelled for one in kept), sum(one.wrong for one in kept),
        )  # fmt: skip


def world(seed: int, rows: int = 5000) -> tuple[Baseline, Generator]:
    chance = default_rng(seed)
    return baseline_of(chance, rows), chance
