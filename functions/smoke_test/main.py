"""A staged challenger in: asked what training asked it, and passed only if it answers the same."""

import functions_framework
from cloudevents.http import CloudEvent
from smoke import try_out

from shared.events import ModelStaged
from shared.step import handle


@functions_framework.cloud_event
def smoke_test(event: CloudEvent) -> None:
    """Tests a staged challenger with golden rows."""
    handle(event, "smoke_test", {ModelStaged: try_out})
