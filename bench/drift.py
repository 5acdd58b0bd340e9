"""What the verdict on drift promises, on simulated months of hourly looks, beside a Kolmogorov–Smirnov test."""

import math
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import kstwobign

from bench.drift_traffic import COLUMNS, DRIFTS, EXAM, HOURS, STABLE, Traffic, drift_verdict, hours, windows, world
from bench.judge_picture import DOCS, keep_table
from bench.report import Row, at_most
from shared.distributions import Baseline
from shared.drift_rules import DriftRules

RULES = DriftRules()
_BEGINS = 100  # the hour in which every simulated drift begins
_MONTHS, _MONTHS_OF_DRIFT = 100, 8
_ROWS_AN_HOUR = (60, 500, 5000)
_KS_CRITICAL = float(kstwobign.isf(0.05))


@dataclass(frozen=True)
class Found:
    """How months of one kind of traffic came out: share with a false alarm, hours until drift was found."""

    false: float
    hours: float | None
    missed: float


def measured() -> list[Row]:
    """The promise (at most 1 % of months with a false alarm), the delays, and the table in docs/drift.md."""
    rows, table = list[Row](), list[list[str]]()
    with ProcessPoolExecutor() as pool:
        for per_hour in _ROWS_AN_HOUR:
            ours, theirs = _months(pool, STABLE, per_hour, _MONTHS)
            rows.append(at_most(f"months with a false alarm, {per_hour} rows an hour", 100 * ours.false, "%", 1.0))
            rows.append(Row(f"the same of a KS test per window, {per_hour} rows an hour", 100 * theirs.false, "%"))
            table.append([f"{STABLE.name}, {per_hour} rows an hour", _told_false(ours), _told_false(theirs)])
        for traffic in DRIFTS:
            ours, theirs = _months(pool, traffic, 500, _MONTHS_OF_DRIFT)
            rows.append(at_most(f"{traffic.name}: months in which it was missed", 100 * ours.missed, "%", 0.0))
            rows += [] if ours.hours is None else [Row(f"{traffic.name}: hours until it was found", ours.hours, "h")]
            table.append([f"{traffic.name}, 500 rows an hour", _told_delay(ours), _told_delay(theirs)])
    keep_table(DOCS / "drift.md", ["a month of hourly looks", "detect_drift", "KS test per window, 5 %"], table)
    return rows


def ours_alarms(looks: Sequence[Any], baseline: Baseline) -> list[int]:
    """The hours in which detect_drift says `drifting`."""
    verdicts = (drift_verdict.judge(seen, baseline, EXAM, RULES).verdict for seen in looks)
    return [hour for hour, verdict in enumerate(verdicts) if verdict == "drifting"]


def ks_alarms(looks: Sequence[Any], baseline: Baseline) -> list[int]:
    """The hours in which a two-sample Kolmogorov–Smirnov test rejects for any column, at the edges of its bins."""
    then = {name: np.cumsum(baseline.features[name].counts[:-1]) for name in COLUMNS}
    return [hour for hour, seen in enumerate(looks) if any(_ks_rejects(then[name], seen, name) for name in COLUMNS)]


def _ks_rejects(then: Any, seen: Any, name: str) -> bool:
    now = np.cumsum(seen.distributions.features[name][:-1])
    n, m = int(then[-1]), int(now[-1])
    return float(np.max(np.abs(then / n - now / m))) * math.sqrt(n * m / (n + m)) > _KS_CRITICAL


def _months(pool: Executor, traffic: Traffic, per_hour: int, months: int) -> tuple[Found, Found]:
    """How the same months came out for both: detect_drift and the test."""
    begins = HOURS if traffic is STABLE else _BEGINS
    alarms = list(pool.map(_month, [traffic.name] * months, [per_hour] * months, range(months)))
    return _found([ours for ours, _ in alarms], begins), _found([theirs for _, theirs in alarms], begins)


def _found(months: Sequence[list[int]], begins: int) -> Found:
    false = sum(any(hour < begins for hour in raised) for raised in months)
    delays = [hour - begins for raised in months for hour in [each for each in raised if each >= begins][:1]]
    return Found(false / len(months), median(delays) if delays else None, 1 - len(delays) / len(months))


def _month(name: str, per_hour: int, seed: int) -> tuple[list[int], list[int]]:
    (traffic,) = (each for each in (STABLE, *DRIFTS) if each.name == name)
    baseline, chance = world(seed)
    looks = list(windows(hours(traffic, baseline, per_hour, chance), RULES.periods))
    return ours_alarms(looks, baseline), ks_alarms(looks, baseline)


def _told_false(found: Found) -> str:
    return f"{100 * found.false:.0f} % of months with a false alarm"


def _told_delay(found: Found) -> str:
    if found.hours is None:
        return "never found"
    wrongly = f", {100 * found.false:.0f} % had an alarm before" if found.false else ""
    return f"found after {found.hours:.0f} h{wrongly}"
