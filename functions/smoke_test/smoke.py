"""The last look before traffic: the staged challenger answers as in training, refuses bad rows, and is fast enough.

staged ─► smoke ─┬ every check passed ─► smoke-passed
                 └ any failed ─────────► smoke-failed, end of the run
                 └ either ─────────────► staging is no longer needed
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from golden_rows import Golden, differences, read_golden

from shared.artefacts import read_artefact
from shared.backends import serving as serving_of
from shared.errors import BadInput, Refused, Transient
from shared.events import ModelStaged, RetirementDue, SmokeFailed, SmokePassed
from shared.ids import RunId, run_parts
from shared.ledger import Outcome, Record, run_key
from shared.run_end import run_end
from shared.settings import ServingSettings, settings_of
from shared.step import Events, Step

TRIES = 3  # the fastest counts: the first answer of a fresh replica is no measure
_WITH_PROBABILITIES = {"probabilities": True}


@dataclass(frozen=True)
class Check:
    """One thing looked at; passed when nothing speaks against it."""

    name: str
    reasons: tuple[str, ...]
    seconds: float | None = None

    @property
    def passed(self) -> bool:
        return not self.reasons

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "reasons": list(self.reasons), "seconds": self.seconds}


def try_out(event: ModelStaged, step: Step) -> Events:
    """The one smoke test of a run's staged challenger, tested now unless that is done; NotYet before it is staged."""
    smoke = step.ledger.find(run_key(event.run, "smoke"))
    if smoke is None:
        end = step.ledger.find(run_key(event.run, "end"))
        if end is not None:
            return end.events
        staged = step.ledger.require(run_key(event.run, "staged"))
        checks = _checks(staged, event.run, step)
        smoke = step.ledger.once(run_key(event.run, "smoke"), lambda: judged(event.run, staged, checks))
    if smoke.data["passed"]:
        return smoke.events
    end = step.ledger.once(run_key(event.run, "end"), lambda: _end(event.run, smoke))
    return (*smoke.events, *end.events)


def judged(run: RunId, staged: Record, checks: tuple[Check, ...]) -> Outcome:
    """The result of the checks: passed only if every one is."""
    model, _ = run_parts(run)
    at = staged.data
    failed = [check for check in checks if not check.passed]
    reasons = tuple(f"{check.name}: {reason}" for check in failed for reason in check.reasons)
    told = (
        SmokeFailed(model=model, run=run, reasons=reasons)
        if failed
        else SmokePassed(model=model, run=run, version=at["version"], artefacts=at["artefacts"])
    )
    retired = RetirementDue(model=model, run=run, what="staging", target=at["deployed_model"])
    data = {"passed": not failed, "checks": [check.to_json() for check in checks], "reasons": list(reasons)}
    return Outcome(data, (told, retired))


def _checks(staged: Record, run: RunId, step: Step) -> tuple[Check, ...]:
    serving = settings_of(step.ledger, run).serving
    try:
        golden = read_golden(read_artefact(step.cloud.artefacts, staged.data["artefacts"], "golden.json"))
        return *_good_rows(staged, golden, serving, run, step), *_bad_rows(staged, golden, run, step)
    except BadInput as bad:
        return (Check("golden rows", bad.reasons),)
    except Transient as busy:
        if not _overdue(staged, serving, step):
            raise
        return (Check("answers", (f"none after {serving.deploy_timeout_seconds} s: {busy}",)),)


def _good_rows(staged: Record, golden: Golden, serving: ServingSettings, run: RunId, step: Step) -> tuple[Check, ...]:
    """Whether every try is answered as in training, and the fastest in time."""
    found: set[str] = set()
    took: list[float] = []
    for _ in range(TRIES):
        began = step.cloud.now()
        try:
            predictions = serving_of(run, step).predict(staged.data["endpoint"], golden.rows, _WITH_PROBABILITIES)
        except Refused as refused:
            return (Check("same answers as in training", (str(refused),)),)
        took.append((step.cloud.now() - began).total_seconds())
        found |= set(differences(golden, predictions))
    limit, fastest = serving.smoke_latency_seconds, min(took)
    slow = (f"{fastest:.3f} s for {len(golden.rows)} rows, at most {limit:g} s are allowed",) if fastest > limit else ()
    return Check("same answers as in training", tuple(sorted(found))), Check("fast enough", slow, fastest)


def _bad_rows(staged: Record, golden: Golden, run: RunId, step: Step) -> list[Check]:
    return [Check(f"refuses {why}", _answered(staged, row, run, step)) for row, why in golden.bad_rows]


def _answered(staged: Record, row: dict[str, Any], run: RunId, step: Step) -> tuple[str, ...]:
    try:
        serving_of(run, step).predict(staged.data["endpoint"], [row], _WITH_PROBABILITIES)
    except Refused:
        return ()
    return ("a bad row was answered with a prediction",)


def _end(run: RunId, smoke: Record) -> Outcome:
    title = f"{run}: the staged challenger failed its smoke test"
    return run_end(run, "failed", "smoke_test", title, smoke.data["reasons"])


def _overdue(staged: Record, serving: ServingSettings, step: Step) -> bool:
    began = step.ledger.store.stat(staged.key)
    limit = timedelta(seconds=serving.deploy_timeout_seconds)
    return began is not None and step.ledger.server_now(staged.key) - began.created >= limit
