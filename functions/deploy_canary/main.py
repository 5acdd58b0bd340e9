"""A smoke-tested model in: deployed dark beside the one in production, and its first share of the traffic asked for."""

import functions_framework
from canary_deployment import deploy
from cloudevents.http import CloudEvent

from shared.events import SmokePassed
from shared.step import handle


@functions_framework.cloud_event
def deploy_canary(event: CloudEvent) -> None:
    """Opens a rollout and deploys its candidate without traffic."""
    handle(event, "deploy_canary", {SmokePassed: deploy})
