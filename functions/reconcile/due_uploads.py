"""Uploads whose notification never came: those without a record are announced again, on a slower beat than the tick."""

from shared.foreign import DATA_UPLOADED
from shared.ids import MODEL_NAME, ModelName, upload_id
from shared.ledger import Outcome, upload_key
from shared.step import Step
from shared.store import Entry


def of_uploads(step: Step) -> None:
    """Announces every upload and settings file that nobody has recorded, at most once per beat."""
    beat = int(step.cloud.now().timestamp() // step.cloud.environment.sweep_seconds)
    if step.ledger.find(f"sweeps/{beat:012d}") is not None:
        return
    for model in step.cloud.data.folders("data/"):
        if MODEL_NAME.fullmatch(model):
            _announce_missing(ModelName(model), step)
    step.ledger.once(f"sweeps/{beat:012d}", lambda: Outcome({}))


def _announce_missing(model: ModelName, step: Step) -> None:
    prefix = f"uploads/{model}/"
    recorded = {entry.key for entry in step.ledger.entries(prefix)}
    for entry in step.cloud.data.entries(f"data/{model}/"):
        key = upload_key(model, upload_id(step.cloud.data.bucket, entry.key, entry.generation))
        if key not in recorded:
            _announce(entry, step)


def _announce(entry: Entry, step: Step) -> None:
    """Says what a storage notification would have said."""
    attributes = {
        "eventType": "OBJECT_FINALIZE",
        "bucketId": step.cloud.data.bucket,
        "objectId": entry.key,
        "objectGeneration": str(entry.generation),
        "payloadFormat": "JSON_API_V1",
    }
    step.cloud.bus.publish(DATA_UPLOADED, b"{}", attributes)
