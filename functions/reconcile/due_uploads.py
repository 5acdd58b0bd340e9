"""Uploads whose notification never came, and files whose scoring has no end: announced again, on a slower beat."""

from object_announcing import announce

from shared.ids import MODEL_NAME, ModelName, upload_id
from shared.ledger import Outcome, score_key, upload_key
from shared.step import Step


def of_uploads(step: Step) -> None:
    """Announces every upload that nobody has recorded and every file without results, at most once per beat."""
    beat = int(step.cloud.now().timestamp() // step.cloud.environment.sweep_seconds)
    if step.ledger.find(f"sweeps/{beat:012d}") is not None:
        return
    for model in step.cloud.data.folders("data/"):
        if MODEL_NAME.fullmatch(model):
            _announce_missing(ModelName(model), step)
    for model in step.cloud.data.folders("score/"):
        if MODEL_NAME.fullmatch(model):
            _announce_unscored(ModelName(model), step)
    step.ledger.once(f"sweeps/{beat:012d}", lambda: Outcome({}))


def _announce_missing(model: ModelName, step: Step) -> None:
    prefix = f"uploads/{model}/"
    recorded = {entry.key for entry in step.ledger.entries(prefix)}
    for entry in step.cloud.data.entries(f"data/{model}/"):
        key = upload_key(model, upload_id(step.cloud.data.bucket, entry.key, entry.generation))
        if key not in recorded:
            announce(entry.key, entry.generation, step)


def _announce_unscored(model: ModelName, step: Step) -> None:
    ended = {entry.key for entry in step.ledger.entries(f"scores/{model}/") if entry.key.endswith("/end")}
    for entry in step.cloud.data.entries(f"score/{model}/"):
        if score_key(model, upload_id(step.cloud.data.bucket, entry.key, entry.generation), "end") not in ended:
            announce(entry.key, entry.generation, step)
