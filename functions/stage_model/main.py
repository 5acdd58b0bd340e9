"""An approved challenger in: uploaded to the registry and deployed on the staging endpoint, one piece at each call."""

import functions_framework
from cloudevents.http import CloudEvent
from staging import stage

from shared.events import DeploymentApproved
from shared.step import handle


@functions_framework.cloud_event
def stage_model(event: CloudEvent) -> None:
    """Brings an approved challenger to where it can be smoke tested."""
    handle(event, "stage_model", {DeploymentApproved: stage})
