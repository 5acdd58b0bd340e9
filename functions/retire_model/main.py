"""Something no longer needed in: undeployed or deleted, unless it turns out to be needed."""

import functions_framework
from cloudevents.http import CloudEvent
from retirement import retire

from shared.events import RetirementDue
from shared.step import handle


@functions_framework.cloud_event
def retire_model(event: CloudEvent) -> None:
    """Takes away a deployment or a version."""
    handle(event, "retire_model", {RetirementDue: retire})
