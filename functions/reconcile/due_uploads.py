"""Uploads whose notification never came, and files whose scoring has no end: announced again, on a slower beat.

While files are being recorded, whatever is newer than the oldest of those waits for its turn and not for us: to
announce it once more would make a long queue longer with every beat.

    ── lost ──┬── recorded in the last beat … ──┬── waits in the queue ──► newer
    announced └ the oldest of them              └ left alone until nothing older is being recorded
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from object_announcing import announce

from shared.ids import ModelName, is_model_name, upload_id
from shared.ledger import Outcome, score_key, upload_key
from shared.step import Step
from shared.store import Entry


def of_uploads(step: Step) -> None:
    """Announces every upload that nobody has recorded and every file without results, at most once per beat."""
    beat = int(step.cloud.now().timestamp() // step.cloud.environment.sweep_seconds)
    if step.ledger.find(f"sweeps/{beat:012d}") is not None:
        return
    for model in step.cloud.data.folders("data/"):
        if is_model_name(model):
            _announce_missing(ModelName(model), step)
    for model in step.cloud.data.folders("score/"):
        if is_model_name(model):
            _announce_unscored(ModelName(model), step)
    step.ledger.once(f"sweeps/{beat:012d}", lambda: Outcome({}))


def _announce_missing(model: ModelName, step: Step) -> None:
    recorded = {entry.key: entry.created for entry in step.ledger.entries(f"uploads/{model}/")}
    uploads = {
        upload_key(model, upload_id(step.cloud.data.bucket, entry.key, entry.generation)): entry
        for entry in step.cloud.data.entries(f"data/{model}/")
    }
    since = step.cloud.now() - timedelta(seconds=step.cloud.environment.sweep_seconds)
    for entry in _overtaken(uploads, recorded, since):
        announce(entry.key, entry.generation, step)


def _overtaken(uploads: Mapping[str, Entry], recorded: Mapping[str, datetime], since: datetime) -> Sequence[Entry]:
    """The uploads without a record that are older than all that were recorded since then; all, if none were."""
    missing = [entry for key, entry in uploads.items() if key not in recorded]
    taken = [entry.created for key, entry in uploads.items() if key in recorded and recorded[key] > since]
    return [entry for entry in missing if not taken or entry.created < min(taken)]


def _announce_unscored(model: ModelName, step: Step) -> None:
    ended = {entry.key for entry in step.ledger.entries(f"scores/{model}/") if entry.key.endswith("/end")}
    for entry in step.cloud.data.entries(f"score/{model}/"):
        if score_key(model, upload_id(step.cloud.data.bucket, entry.key, entry.generation), "end") not in ended:
            announce(entry.key, entry.generation, step)
