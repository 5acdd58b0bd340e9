"""What is told of an interval, and how it is published; imported once requests are answered, for it takes its time."""

from contextlib import suppress

from serving_image.account import Interval
from serving_image.configuration import Identity
from serving_image.reporter import Publish
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.events import EvidenceReported
from shared.step import publish
from shared.trace import started


def publisher(identity: Identity, cloud: Cloud) -> Publish:
    """Publishes the reports of a deployment; an interval has the same event id every time, so it is counted once."""
    with suppress(Exception):  # what is wrong with the client is told when something is published
        _ = cloud.bus
    return lambda interval: publish(cloud, report(identity, interval, cloud))


def report(identity: Identity, interval: Interval, cloud: Cloud) -> Envelope:
    """The event that tells of an interval; its id is the reporter's and the interval's."""
    event = EvidenceReported(
        model=identity.model,
        run=identity.run,
        endpoint=identity.endpoint,
        deployed_model=identity.deployed_model,
        reporter=identity.reporter,
        interval=interval.number,
        report_seconds=identity.report_seconds,
        requests=interval.requests,
        errors=interval.errors,
        client_errors=interval.client_errors,
        rows=interval.rows,
        latency={str(index): count for index, count in enumerate(interval.latency) if count},
        baseline=interval.distributions.baseline,
        features=interval.distributions.features,
        predictions=interval.distributions.predictions,
    )
    name = f"{identity.endpoint}/{identity.deployed_model}/{identity.reporter}/{interval.number}"
    return Envelope(name, "//serin/serving", cloud.now(), event, traceparent=started(name))
