"""From a run's record to what is trained: the job and whoever trains it again read the very same things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.artefacts import read_artefact
from shared.environment import Cloud
from shared.errors import BadInput
from shared.ids import RunId, run_parts
from shared.ledger import Ledger, window_key
from shared.settings import Settings
from shared.tables.checksum import content_id_of
from shared.windows import Upload as Stored
from training_image.evaluation import Champion
from training_image.onnx_model import OnnxModel
from training_image.rows import Upload
from training_image.signature import Signature
from training_image.training import Plan


@dataclass(frozen=True)
class RunRecord:
    """What the run's window record says, as values: the plan, the exact objects, and the champion's artefacts."""

    plan: Plan
    earlier: tuple[Stored, ...]
    window: tuple[Stored, ...]
    champion: Mapping[str, Any] | None
    settings_generation: int


def read_record(run: RunId, ledger: Ledger) -> RunRecord:
    """The record of a run whose window is closed; NotYet if it is not."""
    kept = ledger.require(window_key(*run_parts(run))).data
    settings = Settings.model_validate(kept["settings"])
    plan = Plan(model=run_parts(run)[0], run=run, settings=settings, schema=kept["schema"])
    return RunRecord(
        plan=plan,
        earlier=tuple(Stored.from_json(one) for one in kept["earlier"]),
        window=tuple(Stored.from_json(one) for one in kept["uploads"]),
        champion=kept["champion"],
        settings_generation=kept.get("settings_generation", 0),
    )


def read_uploads(kept: Sequence[Stored], cloud: Cloud, ledger: Ledger) -> list[Upload]:
    """Exactly the bytes that were accepted, less the rows set aside; BadInput where they are gone or others."""
    return [_read_upload(one, cloud, ledger) for one in kept]


def read_champion(kept: Mapping[str, Any] | None, cloud: Cloud) -> Champion | None:
    """The production model as it is served; none for a first run."""
    if kept is None:
        return None
    model, signature = (
        read_artefact(cloud.artefacts, kept["artefacts"], name) for name in ("model.onnx", "signature.json")
    )
    return Champion(OnnxModel(model, Signature.model_validate_json(signature)), kept["run"], str(kept["version"]))


def _read_upload(stored: Stored, cloud: Cloud, ledger: Ledger) -> Upload:
    where = f"gs://{stored.bucket}/{stored.name}#{stored.generation}"
    if stored.bucket != cloud.environment.data_bucket:
        raise BadInput(where, ["not in this installation's data bucket"])
    content = cloud.data.read(stored.name, stored.generation)
    if content is None:
        raise BadInput(where, ["this generation is gone; the data bucket must keep old generations"])
    if content_id_of(content) != stored.content:
        raise BadInput(where, ["not the bytes that were accepted"])
    return Upload(stored.name, content, _left_out(stored, ledger))


def _left_out(stored: Stored, ledger: Ledger) -> frozenset[int]:
    """The numbers of the rows that intake has set aside."""
    if stored.quarantine is None:
        return frozenset()
    return frozenset(bad["row"] for bad in ledger.require(stored.quarantine).data["rows"])
