"""A notice in: said on every configured channel, and as one line in the log."""

import functions_framework
from cloudevents.http import CloudEvent
from notice_delivery import deliver

from shared.events import Notification
from shared.step import handle


@functions_framework.cloud_event
def notify(event: CloudEvent) -> None:
    """Tells people."""
    handle(event, "notify", {Notification: deliver})
