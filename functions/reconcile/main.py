"""A tick of the clock in: out comes every event that something still waits for."""

import functions_framework
from cloudevents.http import CloudEvent
from overdue import look

from shared.step import handle_tick


@functions_framework.cloud_event
def reconcile(event: CloudEvent) -> None:
    """Emits what is due."""
    handle_tick(event, "reconcile", look)
