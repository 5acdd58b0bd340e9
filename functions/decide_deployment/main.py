"""A finished evaluation in: deployed, a person asked, or rejected, with the score card that says why."""

import functions_framework
from cloudevents.http import CloudEvent
from deployment_decision import decide

from shared.events import EvaluationCompleted
from shared.step import handle


@functions_framework.cloud_event
def decide_deployment(event: CloudEvent) -> None:
    """Grades a challenger and decides once what becomes of it."""
    handle(event, "decide_deployment", {EvaluationCompleted: decide})
