"""An answer in: the asked challenger approved or rejected, by whoever answered first."""

import functions_framework
from approval_record import answer
from cloudevents.http import CloudEvent

from shared.events import ApprovalAnswered
from shared.step import handle


@functions_framework.cloud_event
def record_approval(event: CloudEvent) -> None:
    """Records the one answer to an approval request."""
    handle(event, "record_approval", {ApprovalAnswered: answer})
