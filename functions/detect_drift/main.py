"""Evidence of the model in production in: once a period a verdict on drift, and what follows from it."""

import functions_framework
from cloudevents.http import CloudEvent
from drift_watch import watch

from shared.events import EvidenceReported
from shared.step import handle


@functions_framework.cloud_event
def detect_drift(event: CloudEvent) -> None:
    """Tells when a live model is asked other things than it was trained on, or is right less often."""
    handle(event, "detect_drift", {EvidenceReported: watch})
