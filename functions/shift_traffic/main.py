"""A wanted share in: the endpoint's split changed under its etag, and what it is now out."""

import functions_framework
from cloudevents.http import CloudEvent
from traffic_shift import shift

from shared.events import TrafficRequested
from shared.step import handle


@functions_framework.cloud_event
def shift_traffic(event: CloudEvent) -> None:
    """Gives a rollout's candidate its share of the traffic."""
    handle(event, "shift_traffic", {TrafficRequested: shift})
