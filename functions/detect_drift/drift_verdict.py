"""The verdict on a live model: is what it is asked, or how often it is right, still what it was in training?

    stable            nothing has moved far, and there was enough to see it
    drifting          a column, a prediction or the accuracy has moved further than matters, and it is no chance
    not enough data   neither rows nor labels suffice to say anything

A look a period for a month, at every column: the chance of a false alarm is shared out among them all (Bonferroni).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drift_statistic import binomial_tail, distance, highest_rate

from shared.distributions import Baseline, Distributions, Spread
from shared.drift_rules import DriftRules

Verdict = Literal["stable", "drifting", "not enough data"]
_MONTH_SECONDS = 30 * 86_400.0


@dataclass(frozen=True)
class Seen:
    """What was asked of a model and answered, and how many of the labels that came were not what it had said."""

    rows: int
    distributions: Distributions
    labelled: int = 0
    wrong: int = 0


@dataclass(frozen=True)
class Exam:
    """The model's record when it was let in: wrong answers on rows that it had not seen."""

    wrong: int
    rows: int


@dataclass(frozen=True)
class Column:
    """How far one feature (or prediction) has moved."""

    name: str
    kind: Literal["feature", "prediction"]
    psi: float
    jensen_shannon: float
    chance: float
    drifting: bool

    def to_json(self) -> dict[str, Any]:
        numbers = {"psi": round(self.psi, 4), "jensen_shannon": round(self.jensen_shannon, 4), "chance": self.chance}
        return {"name": self.name, "kind": self.kind, **numbers, "drifting": self.drifting}


@dataclass(frozen=True)
class Accuracy:
    """Labels against the exam; None of a chance where there were too few to say."""

    wrong_percent: float
    exam_percent: float
    chance: float
    drifting: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "wrong_percent": round(self.wrong_percent, 3),
            "exam_percent": round(self.exam_percent, 3),
            "chance": self.chance,
            "drifting": self.drifting,
        }


@dataclass(frozen=True)
class Drift:
    """A verdict with everything that it follows from; columns are sorted, those that have moved furthest first."""

    verdict: Verdict
    columns: tuple[Column, ...]
    accuracy: Accuracy | None
    reasons: tuple[str, ...]


def judge(seen: Seen, baseline: Baseline | None, exam: Exam | None, rules: DriftRules) -> Drift:
    """The verdict; the same for the same counts."""
    columns, why_no_columns = _columns(seen, baseline, rules)
    accuracy, why_no_accuracy = _accuracy(seen, exam, rules)
    moved = [column for column in columns if column.drifting]
    reasons = [_told(column) for column in moved]
    if accuracy is not None and accuracy.drifting:
        reasons.append(
            f"{accuracy.wrong_percent:.1f} % of {seen.labelled} labelled answers are wrong; it was "
            f"{accuracy.exam_percent:.1f} % when the model was examined"
        )
    if reasons:
        return Drift("drifting", columns, accuracy, tuple(reasons))
    missing = tuple(reason for reason in (why_no_columns, why_no_accuracy) if reason)
    known = bool(columns) or accuracy is not None
    return Drift("stable" if known else "not enough data", columns, accuracy, missing)


def looks_of_a_month(rules: DriftRules) -> int:
    """How often a model is looked at in thirty days."""
    return max(1, round(_MONTH_SECONDS / rules.period_seconds))


def _columns(seen: Seen, baseline: Baseline | None, rules: DriftRules) -> tuple[tuple[Column, ...], str]:
    if baseline is None:
        return (), "the model's training left no baseline"
    if seen.distributions.baseline not in (None, baseline.id):
        return (), "what was reported is not on the bins of the model's baseline"
    if seen.rows < rules.least_rows:
        return (), f"{seen.rows} rows, of {rules.least_rows} that it takes to judge features"
    kinds: tuple[tuple[Literal["feature", "prediction"], Mapping[str, Spread], Mapping[str, Sequence[int]]], ...] = (
        ("feature", baseline.features, seen.distributions.features),
        ("prediction", baseline.predictions, seen.distributions.predictions),
    )
    pairs = [
        (kind, name, spread.counts, now[name])
        for kind, spreads, now in kinds
        for name, spread in spreads.items()
        if any(now.get(name, ())) and any(spread.counts)
    ]
    level = rules.false_alarm_percent / 100 / looks_of_a_month(rules) / (len(pairs) + 1)
    found = [_column(kind, name, then, now, level, rules) for kind, name, then, now in pairs]
    return tuple(sorted(found, key=lambda column: -column.psi)), "" if found else "no column was reported"


def _column(
    kind: Literal["feature", "prediction"], name: str, then: Sequence[int], now: Sequence[int], level: float,
    rules: DriftRules,
) -> Column:  # fmt: skip
    far = distance(then, now)
    drifting = far.psi >= rules.psi and far.chance < level
    return Column(name, kind, far.psi, far.jensen_shannon, far.chance, drifting)


def _accuracy(seen: Seen, exam: Exam | None, rules: DriftRules) -> tuple[Accuracy | None, str]:
    if exam is None or not exam.rows:
        return None, "the model's examination left no record of its accuracy"
    if seen.labelled < rules.least_labels:
        return None, f"{seen.labelled} labels, of {rules.least_labels} that it takes to judge accuracy"
    level = rules.false_alarm_percent / 100 / looks_of_a_month(rules) / 2
    then, now = exam.wrong / exam.rows, seen.wrong / seen.labelled
    # The exam is a sample too: what it says at worst, plus the drop that matters, is what the labels must exceed.
    worst = min(1.0, max(then + rules.accuracy_points / 100, highest_rate(exam.wrong, exam.rows, level)))
    chance = binomial_tail(seen.wrong, seen.labelled, worst)
    drifting = chance < level
    return Accuracy(100 * now, 100 * then, chance, drifting), ""


def _told(column: Column) -> str:
    what = "" if column.kind == "feature" else "what is answered: "
    return f"{what}{column.name} has moved by {column.psi:.2f} (PSI), Jensen–Shannon {column.jensen_shannon:.3f}"
