"""One version in the registry per run, although an upload can be made idempotent only by looking for its label first.

claim ─► look for the run's label ─ there ─► adopt the oldest
                                  └ not ───► upload ─► record the operation ─► (later) done and visible ─► version
"""

from staging_order import Order
from staging_progress import Failed, Pending, Progress, Ready, first_claim, followed, refused

from shared.artefacts import stored_digest
from shared.awaited import iso, tell
from shared.backends import moved
from shared.errors import BadInput, Conflict, Refused, Transient
from shared.ledger import Outcome, run_key
from shared.pinned_images import unpinned
from shared.receipt_keys import current
from shared.rollouts import production
from shared.step import Step
from shared.vertex import VersionOrder

_WHAT = "the upload"


def uploaded(order: Order, step: Step) -> Progress:
    """The run's version once it is in the registry and recorded; starts or follows the upload until then."""
    recorded = step.ledger.find(run_key(order.run, "version"))
    if recorded is not None:
        return Ready(recorded.data["version"])
    progress = _looked_for(order, step)
    return _recorded(order, progress, step) if isinstance(progress, Ready) else progress


def _looked_for(order: Order, step: Step) -> Progress:
    visible = _visible(order, step)
    started = step.ledger.find(run_key(order.run, "upload"))
    if started is not None:
        return followed(started, _WHAT, visible, order, step.cloud.vertex.operation, step)
    return visible or _started(order, step)


def _started(order: Order, step: Step) -> Progress:
    environment = step.cloud.environment
    if problem := _altered(order, step) or _moved(order, step) or unpinned(environment.serving_image, environment):
        return Failed((problem,))
    key = run_key(order.run, "upload")
    step.ledger.claim(key, step.cloud.environment.lease_seconds)
    # Who held the claim before may have finished since we looked.
    if visible := _visible(order, step):
        return visible
    key_of_receipts = current(step.cloud.state, step.cloud.now())
    try:
        operation = step.cloud.vertex.upload(version_order(order, key_of_receipts, step))
    except (Conflict, Refused, Transient) as error:
        return refused(error, _WHAT, first_claim(key), order, step)
    started = step.ledger.once(key, lambda: Outcome({"operation": operation.name}))
    if not operation.done:
        return Pending()
    return followed(started, _WHAT, _visible(order, step), order, step.cloud.vertex.operation, step)


def _altered(order: Order, step: Step) -> str:
    """Why the artefacts are not those that were approved; nothing if they are."""
    try:
        found = stored_digest(step.cloud.artefacts, order.artefacts)
    except BadInput as missing:
        return str(missing)
    return "" if found == order.digest else f"the artefacts are {found[:12]}…, approved were {order.digest[:12]}…"


def _moved(order: Order, step: Step) -> str:
    """Why it would be served elsewhere than what is in production; nothing if it would not."""
    standing = production(step.ledger, order.model)
    return str(moved(standing.run, order.serving, step) or "") if standing else ""


def _visible(order: Order, step: Step) -> Ready | None:
    """The oldest version with the run's label, if the registry shows one."""
    found = [each for each in step.cloud.vertex.versions(order.model) if each.labels.get("serin-run") == order.run]
    return Ready(found[0].name) if found else None


def _recorded(order: Order, version: Ready, step: Step) -> Ready:
    data = {"version": version.value, "ended": iso(version.ended)}
    recorded = step.ledger.once(run_key(order.run, "version"), lambda: Outcome(data))
    if started := step.ledger.find(run_key(order.run, "upload")):
        tell("upload to the registry", started, None, version.ended, step)
    return Ready(recorded.data["version"])


def version_order(order: Order, key_of_receipts: str, step: Step) -> VersionOrder:
    """What the version is to be: the artefacts in the serving container, and what the container has to know."""
    environment = step.cloud.environment
    return VersionOrder(
        model=order.model,
        image=environment.serving_image,
        artefacts=order.artefacts,
        labels={"serin-model": order.model, "serin-run": order.run, "serin-attempt": str(order.attempt)},
        variables={
            "GOOGLE_CLOUD_PROJECT": environment.project,
            "SERIN_MODEL": order.model,
            "SERIN_RUN": order.run,
            "SERIN_REPORT_SECONDS": f"{order.report_seconds:g}",
            "SERIN_RECEIPT_KEY_URI": f"gs://{environment.state_bucket}/{key_of_receipts}",
        },
    )
