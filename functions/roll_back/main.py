"""A wish to leave a rollout in: its base back at 100 %, its candidate gone, and who asked and why out."""

import functions_framework
from cloudevents.http import CloudEvent
from rollback import leave

from shared.events import RollbackRequested
from shared.step import handle


@functions_framework.cloud_event
def roll_back(event: CloudEvent) -> None:
    """Leaves a rollout."""
    handle(event, "roll_back", {RollbackRequested: leave})
