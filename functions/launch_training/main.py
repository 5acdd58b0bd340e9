"""A request to train in: a window closed and its training job made; a failed job in: another try, or the run's end."""

import functions_framework
from cloudevents.http import CloudEvent
from training_launch import launch, try_again

from shared.events import TrainingFailed, TrainingRequested
from shared.step import handle


@functions_framework.cloud_event
def launch_training(event: CloudEvent) -> None:
    """Closes a window of rows and has a challenger trained on it."""
    handle(event, "launch_training", {TrainingRequested: launch, TrainingFailed: try_again})
