"""What the judge of canaries promises, by simulation with fixed seeds, beside three other judges; and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.judge_cost import costs
from bench.judge_picture import DOCS, Panel, keep_table, picture
from bench.judge_runs import NEVER, Case, Ended, compared, false_rollbacks, passed
from bench.judge_traffic import Behaviour
from bench.report import Row, at_least, at_most
from shared.evidence_rules import EvidenceRules

RULES = EvidenceRules()
_SEED = 20_260_101
_HOUR, _QUARTER_DAY, _DAY = 60, 6 * 60, 24 * 60
_UNCHANGED, _FEW, _AT_MARGIN, _COMPARED = 10_000, 2_000, 2_000, 1_000
UNCHANGED = (
    Case("1,200 requests a minute"),
    Case("1,200 a minute, an incident in both arms", incident=True),
)
FEW = (
    Case("100 a minute", requests_per_minute=100.0),
    Case("100 a minute, an incident in both arms", requests_per_minute=100.0, incident=True),
)
MARGINS = (Case("accuracy", Behaviour(wrong=0.12)), Case("error rate", Behaviour(errors=0.006), "errors"))


@dataclass(frozen=True)
class Target:
    """At most so many canary requests until half of the canaries are rolled back, and bad answers by then."""

    requests: float
    bad: float | None = None


WORSE: tuple[tuple[Case, Target | None], ...] = (
    (Case("unchanged"), None),
    (Case("unchanged, an incident in both arms", incident=True), None),
    (Case("accuracy 90 → 88 % (the margin)", Behaviour(wrong=0.12)), None),
    (Case("accuracy 90 → 87 %", Behaviour(wrong=0.13)), Target(2_000)),
    (Case("accuracy 90 → 85 %", Behaviour(wrong=0.15)), Target(800)),
    (Case("accuracy 90 → 80 %", Behaviour(wrong=0.2)), Target(250)),
    (Case("errors 0.1 → 1 %", Behaviour(errors=0.01), "errors"), Target(700, 8)),
    (Case("errors 0.1 → 5 %", Behaviour(errors=0.05), "errors"), None),
    (Case("every request fails", Behaviour(errors=1.0), "errors"), None),
    (Case("latency × 1.5", Behaviour(median_seconds=0.15), "slow50"), None),
    (Case("latency × 2", Behaviour(median_seconds=0.2), "slow50"), None),
    (Case("the slowest 2 % × 2", Behaviour(tail_from=0.98, tail_factor=2.0), "slow99"), None),
)


def measured() -> list[Row]:
    """The promises, the comparison (which also makes the picture and the table in docs/), and the costs."""
    return [*_of_unchanged(), *_of_clusters(), *_at_margin(), *_of_promotion(), *_of_comparison(), *costs()]


def _of_unchanged() -> list[Row]:
    rows = []
    cases = [*((case, _UNCHANGED) for case in UNCHANGED), *((case, _FEW) for case in FEW)]
    for place, (case, canaries) in enumerate(cases):
        minute = false_rollbacks(case, canaries, _DAY, _SEED + 100 * place, RULES)
        for hours, limit in ((6, _QUARTER_DAY), (24, _DAY)):
            share = 100 * float(np.mean((minute != NEVER) & (minute <= limit)))
            what = f"{canaries:,} unchanged, rolled back within {hours} h, {case.name}"
            rows.append(at_most(what, share, "%", 0.6))
    return rows


def _of_clusters() -> list[Row]:
    """What the promise does not cover: labels that depend on each other."""
    rows = []
    for size in (2, 5, 10):
        case = Case(f"labels in clusters of {size}", Behaviour(cluster=size))
        minute = false_rollbacks(case, _FEW, _QUARTER_DAY, _SEED + 500 + 10 * size, RULES)
        share = 100 * float(np.mean(minute != NEVER))
        rows.append(Row(f"{_FEW:,} unchanged, rolled back within 6 h, {case.name}", share, "%"))
    return rows


def _at_margin() -> list[Row]:
    rows = []
    for place, case in enumerate(MARGINS):
        (_, promoted), _ = passed(case, _AT_MARGIN, _QUARTER_DAY, _SEED + 1000 + place, RULES)
        rows.append(at_most(f"{case.name} worse by exactly the margin, passed within 6 h", promoted, "%", 5.0))
    return rows


def _of_promotion() -> list[Row]:
    (_, promoted), requests = passed(Case("unchanged"), _COMPARED, _QUARTER_DAY, _SEED + 2000, RULES)
    middle = float(np.median(requests[requests != NEVER]))
    return [
        at_least("unchanged, passed within 6 h", promoted, "%", 99.0),
        at_most("unchanged, canary requests until passed", middle, "requests", 2_000),
    ]


def _of_comparison() -> list[Row]:
    found = {
        case.name: compared(case, _COMPARED, _QUARTER_DAY, _SEED + 3000 + place, RULES)
        for place, (case, _) in enumerate(WORSE)
    }
    _draw(found)
    rows = []
    for case, target in WORSE:
        ours = found[case.name]["Serin"]
        requests, bad = ours.median(ours.requests), ours.median(ours.bad)
        if target is not None:
            rows.append(at_most(f"{case.name}: canary requests to rollback", requests, "requests", target.requests))
        if target is not None and target.bad is not None:
            rows.append(at_most(f"{case.name}: bad answers by then", bad, "answers", target.bad))
    last = float(found["every request fails"]["Serin"].minute.max())
    return [*rows, at_most("every request fails: closed intervals to rollback", last, "intervals", 1)]


def _draw(found: Mapping[str, Mapping[str, Ended]]) -> None:
    minutes, first, second = _QUARTER_DAY, "unchanged", "accuracy 90 → 85 %"
    panels = [
        Panel(
            "Unchanged canaries that are rolled back", "minutes at 5 % of 1,200 requests a minute", minutes,
            {name: each.curve(minutes) for name, each in found[first].items()},
        ),
        Panel(
            "Canaries 5 points less accurate that are rolled back", "minutes; 60 canary requests in each", _HOUR,
            {name: each.curve(_HOUR) for name, each in found[second].items()},
        ),
    ]  # fmt: skip
    (DOCS / "judge.svg").write_text(picture(panels))
    header = ["canary", *found[first]]
    keep_table(
        DOCS / "judge.md", header, [[name, *map(_cell, judges.values())] for name, judges in found.items()]
    )  # fmt: skip


def _cell(ended: Ended) -> str:
    """Share rolled back, and the medians of those: canary requests (bad ones) by then."""
    if ended.percent == 0.0:
        return "0 %"
    return f"{ended.percent:.3g} % · {ended.median(ended.requests):,.0f} ({ended.median(ended.bad):,.0f})"
