"""One deployment per run on the staging endpoint, under an id that follows from the run's window."""

from dataclasses import replace

from staging_order import Order
from staging_progress import Pending, Progress, Ready, first_claim, followed, refused

from shared.backends import serving
from shared.errors import Conflict, Refused, Transient
from shared.ledger import Outcome, run_key
from shared.rollouts import ALL, staging_endpoint
from shared.serving import Machine
from shared.step import Step

_THIS_DEPLOYMENT = "0"  # how a deployment names itself in the split that it brings
_WHAT = "the deployment on staging"
_WHAT_ENDPOINT = "the making of the staging endpoint"


def deployed(order: Order, version: str, step: Step) -> Progress:
    """The version once it is deployed on staging; starts or follows what is missing until then."""
    started = step.ledger.find(run_key(order.run, "staging"))
    visible = _visible(order, version, step)
    if started is not None:
        return followed(started, _WHAT, visible, order, serving(order.run, step).operation, step)
    if visible is not None:
        return visible
    endpoint = _endpoint(order, step)
    return _started(order, version, step) if isinstance(endpoint, Ready) else endpoint


def _started(order: Order, version: str, step: Step) -> Progress:
    key, endpoint = run_key(order.run, "staging"), staging_endpoint(order.model)
    step.ledger.claim(key, step.cloud.environment.lease_seconds)
    try:
        operation = serving(order.run, step).deploy(
            endpoint, order.deployed_model, version, _machine(order), {_THIS_DEPLOYMENT: ALL}
        )
    except (Conflict, Refused, Transient) as error:
        return refused(error, _WHAT, first_claim(key), order, step)
    data = {"operation": operation.name, "endpoint": endpoint, "deployed_model": order.deployed_model}
    started = step.ledger.once(key, lambda: Outcome(data))
    if not operation.done:
        return Pending()
    return followed(started, _WHAT, _visible(order, version, step), order, serving(order.run, step).operation, step)


def _machine(order: Order) -> Machine:
    return replace(order.serving.machine, replicas=(1, 1))  # staging answers a few test rows, not traffic


def _visible(order: Order, version: str, step: Step) -> Ready | None:
    endpoint = serving(order.run, step).endpoint(staging_endpoint(order.model))
    return Ready(version) if endpoint is not None and order.deployed_model in endpoint.deployed else None


def _endpoint(order: Order, step: Step) -> Progress:
    """The staging endpoint once it exists; starts or follows its creation until then."""
    name, key = staging_endpoint(order.model), run_key(order.run, "endpoint")
    if serving(order.run, step).endpoint(name) is not None:
        return Ready(name)
    asked = step.ledger.find(key)
    if asked is not None:
        return followed(asked, _WHAT_ENDPOINT, None, order, serving(order.run, step).operation, step)
    try:
        operation = serving(order.run, step).create_endpoint(name).name
    except Conflict:
        operation = None  # somebody else is making it
    except (Refused, Transient) as error:
        return refused(error, _WHAT_ENDPOINT, run_key(order.run, "version"), order, step)
    step.ledger.once(key, lambda: Outcome({"operation": operation}))
    return Ready(name) if serving(order.run, step).endpoint(name) is not None else Pending()
