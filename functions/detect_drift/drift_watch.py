"""Evidence of a live model kept by period, and a verdict once per period, when nothing of it is to come any more.

    report ─► kept in its period ─► an older period is over? ─► summed, judged with those before it ─► recorded
                                                                         └ drifting, and was not ─► drift-detected,
                                                                           a notice, perhaps training-requested

Everything is by the reporters' own clocks: a period is over when a report comes from well behind its end. The delivery
that recorded a verdict says it, and says it again when it is delivered again; the reports after it do so until people
have been told.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from drift_picture import then_and_now
from drift_verdict import Drift, Exam, Seen, judge

from shared.artefacts import key_of
from shared.distributions import Baseline, Distributions, distributions_of
from shared.drift_rules import DriftRules
from shared.errors import BadInput
from shared.events import DriftDetected, EvidenceReported, Notification, TrainingRequested
from shared.ids import ModelName, RunId
from shared.ledger import Outcome, Record, drift_key, run_key
from shared.rollouts import Deployed, production, production_endpoint
from shared.settings import required, settings_of
from shared.step import Events, Step

_PICTURES = 5


def watch(event: EvidenceReported, step: Step) -> Events:
    """Keeps a report of the production endpoint, and judges the period before it if that is over."""
    if event.endpoint.rsplit("/", 1)[-1] != production_endpoint(event.model):
        return ()
    rules = _rules(event.run, step)
    period = int(event.interval * event.report_seconds // rules.period_seconds)
    _keep(event, period, step)
    into = event.interval * event.report_seconds - period * rules.period_seconds
    if into < 2 * event.report_seconds:
        return ()
    key = drift_key(event.model, event.run, f"periods/{period - 1:012d}")
    standing = step.ledger.find(key)
    if standing is not None:
        mine = standing.origin is not None and standing.origin.event == step.cause
        return standing.events if mine else step.until_heard(standing)
    live = production(step.ledger, event.model)
    if live is None or live.run != event.run:
        return ()
    return step.ledger.once(key, lambda: _judged(live, event.model, period - 1, rules, step)).events


def _keep(event: EvidenceReported, period: int, step: Step) -> None:
    told = distributions_of(event)
    data = {
        "rows": event.rows,
        "labelled": event.labelled,
        "wrong": event.wrong,
        "baseline": told.baseline,
        "features": {name: list(counts) for name, counts in told.features.items()},
        "predictions": {name: list(counts) for name, counts in told.predictions.items()},
    }
    name = f"reports/{period:012d}/{event.interval:012d}-{event.reporter}"
    step.ledger.record(drift_key(event.model, event.run, name), Outcome(data))


def _judged(live: Deployed, model: ModelName, period: int, rules: DriftRules, step: Step) -> Outcome:
    _, settings = required(step.ledger, step.cloud.data, model)
    wanted = settings.drift.model_copy(update={"period_seconds": rules.period_seconds})
    sums = [_sum(model, live.run, each, step) for each in range(max(0, period - wanted.periods + 1), period + 1)]
    baseline, exam = _baseline(live, step), _exam(live.run, step)
    seen = _total([each for each in sums if _countable(each, baseline)])
    drift = judge(seen, baseline, exam, wanted)
    data = {
        "verdict": drift.verdict,
        "reasons": list(drift.reasons),
        "rows": seen.rows,
        "labelled": seen.labelled,
        "wrong": seen.wrong,
        "columns": [column.to_json() for column in drift.columns],
        "accuracy": drift.accuracy.to_json() if drift.accuracy else None,
    }
    if drift.verdict != "drifting" or _was_drifting(model, live.run, period, step):
        return Outcome(data)
    asks = _asks(model, live.run, period, wanted, step)
    return Outcome(data, tuple(_said(live.run, model, period, drift, baseline, seen, asks)))


def _said(
    run: RunId, model: ModelName, period: int, drift: Drift, baseline: Baseline | None, seen: Seen, asks: bool
) -> Iterator[DriftDetected | Notification | TrainingRequested]:
    columns = tuple(column.name for column in drift.columns if column.drifting)
    numbers: dict[str, Any] = {"rows": seen.rows, "labelled": seen.labelled, "wrong": seen.wrong}
    numbers["psi"] = {column.name: round(column.psi, 4) for column in drift.columns if column.drifting}
    wrong = drift.accuracy is not None and drift.accuracy.drifting
    yield DriftDetected(model=model, run=run, columns=columns, accuracy=wrong, reasons=drift.reasons, numbers=numbers)
    if asks:
        because = "; ".join(drift.reasons)[:500]
        request = f"drift-{run}-{period}"
        yield TrainingRequested(model=model, reason="drift", request=request, by="detect_drift", because=because)
    # The notice comes last: once it is heard, all was said.
    yield Notification(
        model=model, run=run, severity="warning", title=f"{model}: what it is asked has drifted since it was trained"
        if columns else f"{model}: it is right less often than when it was trained",
        why=(*drift.reasons, *_pictures(drift, baseline, seen)),
        next="training was asked for" if asks else f"look at the rows; `serin train {model}` trains on what waits",
    )  # fmt: skip


def _pictures(drift: Drift, baseline: Baseline | None, seen: Seen) -> Iterator[str]:
    moved = [column for column in drift.columns if column.drifting][:_PICTURES]
    for column in moved if baseline else ():
        assert baseline is not None
        known = column.kind == "feature"
        spread = (baseline.features if known else baseline.predictions)[column.name]
        now = (seen.distributions.features if known else seen.distributions.predictions)[column.name]
        yield then_and_now(column.name, spread.counts, now)


def _sum(model: ModelName, run: RunId, period: int, step: Step) -> Record:
    """What all reports of a period say together, summed once and then kept."""

    def added() -> Outcome:
        reports = step.ledger.entries(drift_key(model, run, f"reports/{period:012d}/"))
        return Outcome(_to_json(_total([step.ledger.require(entry.key) for entry in reports])))

    return step.ledger.once(drift_key(model, run, f"sums/{period:012d}"), added)


def _total(records: Sequence[Record]) -> Seen:
    total = Seen(0, Distributions())
    for record in records:
        data = record.data
        features = {name: tuple(counts) for name, counts in data["features"].items()}
        predictions = {name: tuple(counts) for name, counts in data["predictions"].items()}
        told = Distributions(data["baseline"], features, predictions)
        total = Seen(
            total.rows + data["rows"], total.distributions + told, total.labelled + data["labelled"],
            total.wrong + data["wrong"],
        )  # fmt: skip
    return total


def _to_json(seen: Seen) -> dict[str, Any]:
    told = seen.distributions
    return {
        "rows": seen.rows, "labelled": seen.labelled, "wrong": seen.wrong, "baseline": told.baseline,
        "features": told.features, "predictions": told.predictions,
    }  # fmt: skip


def _countable(record: Record, baseline: Baseline | None) -> bool:
    """Whether a sum is on the bins of the model's own baseline, or on none at all."""
    return record.data["baseline"] in (None, baseline.id if baseline else None)


def _was_drifting(model: ModelName, run: RunId, period: int, step: Step) -> bool:
    before = step.ledger.find(drift_key(model, run, f"periods/{period - 1:012d}"))
    return before is not None and before.data["verdict"] == "drifting"


def _asks(model: ModelName, run: RunId, period: int, rules: DriftRules, step: Step) -> bool:
    """Whether training is to be asked for: where the settings say so, and not again within the cool-down."""
    if not rules.retrain:
        return False
    asked = [int(entry.key.rsplit("/", 1)[-1]) for entry in step.ledger.entries(f"drift/{model}/asked/")]
    pause = rules.cool_down_hours * 3600 / rules.period_seconds
    if any(0 < period - each < pause for each in asked):
        return False
    step.ledger.once(f"drift/{model}/asked/{period:012d}", lambda: Outcome({"run": run}))
    return True


def _rules(run: RunId, step: Step) -> DriftRules:
    """The rules that the run was trained under: the length of a period must not change while it is counted."""
    return settings_of(step.ledger, run).drift


def _baseline(live: Deployed, step: Step) -> Baseline | None:
    """The baseline that the model's training left; None if it left none that can be used."""
    content = step.cloud.artefacts.read(f"{key_of(step.cloud.artefacts, live.artefacts)}baseline.json")
    if content is None:
        return None
    try:
        return Baseline.parse(content)
    except BadInput as bad:
        step.log.say("WARNING", str(bad))
        return None


def _exam(run: RunId, step: Step) -> Exam | None:
    """Wrong answers in the examination that the decision on the run was made on."""
    evaluation = step.ledger.require(run_key(run, "decision")).data.get("evaluation") or {}
    accuracy, rows = (evaluation.get("challenger") or {}).get("accuracy"), evaluation.get("rows_judged")
    return Exam(round((1 - accuracy) * rows), rows) if accuracy is not None and rows else None
