"""Labels with their receipts in: evidence about each deployment that predicted them out."""

import functions_framework
from cloudevents.http import CloudEvent
from outcome_batch import tally

from shared.events import OutcomesObserved
from shared.step import handle


@functions_framework.cloud_event
def record_outcomes(event: CloudEvent) -> None:
    """Counts what really was for the version that had predicted it."""
    handle(event, "record_outcomes", {OutcomesObserved: tally})
