"""A file of rows to be scored in: by the model in production, here or in a job; then its results and a notice."""

import functions_framework
from batch_scoring import score
from cloudevents.http import CloudEvent

from shared.step import handle_object


@functions_framework.cloud_event
def score_batch(event: CloudEvent) -> None:
    """Carries the scoring of a file as far as it can go now."""
    handle_object(event, "score_batch", "score/", score)
