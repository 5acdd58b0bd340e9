"""An upload in: its verdict in the ledger, its rows in a window, and a request to train once enough rows wait."""

import functions_framework
from cloudevents.http import CloudEvent
from row_intake import take_in

from shared.step import handle_object


@functions_framework.cloud_event
def check_rows(event: CloudEvent) -> None:
    """Counts and checks the rows of an upload."""
    handle_object(event, "check_rows", "data/", take_in)
