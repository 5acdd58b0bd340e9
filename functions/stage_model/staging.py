"""From an approval to a challenger that answers on the staging endpoint, without ever waiting for an operation.

    approved ─► upload ~operation~ ─► version ─► endpoint ~operation~ ─► staging ~operation~ ─► staged
                   └──────────────────────┴───── failed, refused or too old ──┴─► end of the run

Every call looks at what is there and does the next piece; while an operation runs there is nothing to say.
"""

from datetime import datetime
from typing import assert_never

from staging_deployment import deployed
from staging_order import Order, read_order
from staging_progress import Failed, Pending, Ready
from version_upload import uploaded

from shared.awaited import iso, tell
from shared.events import DeploymentApproved, ModelStaged, RetirementDue
from shared.ledger import Outcome, run_key
from shared.rollouts import staging_endpoint
from shared.run_end import run_end
from shared.step import Events, Step


def stage(event: DeploymentApproved, step: Step) -> Events:
    """The next piece of staging; answers the staged event once the challenger is deployed, or the run's end."""
    for name in ("end", "staged"):
        record = step.ledger.find(run_key(event.run, name))
        if record is not None:
            return record.events
    return _advance(read_order(event.run, step), step)


def _advance(order: Order, step: Step) -> Events:
    version = uploaded(order, step)
    progress = deployed(order, version.value, step) if isinstance(version, Ready) else version
    match progress:
        case Pending():
            return ()
        case Failed(reasons):
            return step.ledger.once(run_key(order.run, "end"), lambda: _failed(order, reasons)).events
        case Ready(at, ended):
            staged = step.ledger.once(run_key(order.run, "staged"), lambda: _staged(order, at, ended))
            if started := step.ledger.find(run_key(order.run, "staging")):
                tell("deployment for staging", started, None, ended, step)
            return staged.events
    assert_never(progress)


def _staged(order: Order, version: str, ended: datetime | None) -> Outcome:
    staged = ModelStaged(
        model=order.model,
        run=order.run,
        version=version,
        artefacts=order.artefacts,
        endpoint=staging_endpoint(order.model),
        deployed_model=order.deployed_model,
    )
    told = staged.model_dump(mode="json", exclude={"model", "run"})
    return Outcome({**told, "ended": iso(ended)}, (staged,))


def _failed(order: Order, reasons: tuple[str, ...]) -> Outcome:
    # A deployment that comes up after it was given up would stay, and cost, for ever.
    retired = RetirementDue(model=order.model, run=order.run, what="staging", target=order.deployed_model)
    return run_end(
        order.run, "failed", "stage_model", f"{order.run}: the challenger could not be staged", reasons, retired,
        wanted="see the operation in Vertex AI; the next window of rows starts a new run",
    )  # fmt: skip
