"""By which rules a rollout is judged, and in which interval a moment lies."""

from datetime import datetime

from shared.evidence_rules import EvidenceRules
from shared.ids import RunId, run_parts
from shared.ledger import Record, run_key, window_key
from shared.step import Step


def rules_of(opened: Record, step: Step) -> EvidenceRules:
    """The rules of the run whose candidate it is; a regression waits for no labels, for no receipt asks for one."""
    run = RunId(opened.data["candidate"]["run"])
    window = step.ledger.require(window_key(*run_parts(run)))
    # Looked at with every report: all of the settings would take ten times as long to read.
    rules = EvidenceRules.model_validate(window.data["settings"]["evidence"])
    return rules.model_copy(update={"labels_required": False}) if _is_regression(run, step) else rules


def _is_regression(run: RunId, step: Step) -> bool:
    decision = step.ledger.find(run_key(run, "decision"))
    return decision is not None and decision.data.get("evaluation", {}).get("task") == "regression"


def interval_of(at: datetime, rules: EvidenceRules) -> int:
    """The number of the interval that a moment lies in."""
    return int(at.timestamp() // rules.report_seconds)
