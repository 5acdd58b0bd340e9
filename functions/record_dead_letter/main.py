"""A message that was given up in: kept with what is known of its failure, and people told."""

import functions_framework
from cloudevents.http import CloudEvent
from dead_letter_record import keep

from shared.step import handle_dead_letter


@functions_framework.cloud_event
def record_dead_letter(event: CloudEvent) -> None:
    """Keeps a dead letter and says so."""
    handle_dead_letter(event, "record_dead_letter", keep)
