"""Announces an object of the data bucket once more, as its storage notification would have."""

from shared.foreign import DATA_UPLOADED
from shared.step import Step


def announce(name: str, generation: int, step: Step) -> None:
    """Says what a storage notification would have said."""
    attributes = {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": step.cloud.data.bucket,
        "objectId": name,
        "objectGeneration": str(generation),
        "payloadFormat": "JSON_API_V1",
    }
    step.cloud.bus.publish(DATA_UPLOADED, b"{}", attributes)
