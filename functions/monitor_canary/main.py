"""A shift of traffic in: a rollout at 100 % goes live and bakes, the first model of all is promoted at once."""

import functions_framework
from canary_watch import watch
from cloudevents.http import CloudEvent

from shared.events import TrafficShifted
from shared.step import handle


@functions_framework.cloud_event
def monitor_canary(event: CloudEvent) -> None:
    """Watches a rollout."""
    handle(event, "monitor_canary", {TrafficShifted: watch})
