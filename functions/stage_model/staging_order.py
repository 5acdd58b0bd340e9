"""What is to be staged, as the ledger holds it."""

from dataclasses import dataclass
from typing import Any

from shared.errors import BadInput
from shared.ids import ModelName, RunId, is_test, run_parts
from shared.ledger import Ledger, Record, run_key
from shared.settings import ServingSettings, settings_of
from shared.step import Step


@dataclass(frozen=True)
class Order:
    """An approved challenger with the settings of its run."""

    model: ModelName
    run: RunId
    window: int
    attempt: int
    artefacts: str
    digest: str
    serving: ServingSettings
    report_seconds: float

    @property
    def deployed_model(self) -> str:
        """Its id on the staging endpoint: a deployment that is tried twice is the same deployment."""
        return str(self.window)


def read_order(run: RunId, step: Step) -> Order:
    """What the ledger says is to be staged; BadInput if nobody approved it, whatever the event says."""
    if is_test(run_parts(run)[0]):
        raise BadInput(f"approval of {run}", ["a test run is never deployed"])
    decision = step.ledger.require(run_key(run, "decision"))
    if not _approved(decision, run, step.ledger):
        raise BadInput(f"approval of {run}", ["neither the scorecard nor a person has approved this run"])
    return _order(run, decision.data, step)


def _approved(decision: Record, run: RunId, ledger: Ledger) -> bool:
    if decision.data["verdict"] == "deploy":
        return True
    approval = ledger.find(run_key(run, "approval"))
    return approval is not None and approval.data["answer"] == "approve"


def _order(run: RunId, decided: Any, step: Step) -> Order:
    model, window = run_parts(run)
    settings = settings_of(step.ledger, run)
    return Order(
        model=model,
        run=run,
        window=window,
        attempt=int(decided["attempt"]),
        artefacts=decided["artefacts"],
        digest=decided["digest"],
        serving=settings.serving,
        report_seconds=settings.evidence.report_seconds,
    )
