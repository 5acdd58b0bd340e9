"""A settings file in: its verdict in the ledger, and a notice with every problem out."""

import functions_framework
from cloudevents.http import CloudEvent
from settings_check import check

from shared.step import handle_object


@functions_framework.cloud_event
def check_settings(event: CloudEvent) -> None:
    """Judges an uploaded settings file."""
    handle_object(event, "check_settings", "settings/", check)
