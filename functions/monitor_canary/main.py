"""A shift of traffic or evidence in: evidence kept, a rollout at 100 % live and baking, the first model promoted."""

import functions_framework
from canary_watch import watch
from cloudevents.http import CloudEvent
from evidence_keeping import keep

from shared.events import EvidenceReported, TrafficShifted
from shared.step import handle


@functions_framework.cloud_event
def monitor_canary(event: CloudEvent) -> None:
    """Watches a rollout."""
    handle(event, "monitor_canary", {TrafficShifted: watch, EvidenceReported: keep})
