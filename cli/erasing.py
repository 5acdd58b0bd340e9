"""A person's rows taken out: later trainings go without the file, then its bytes go; what was made of it is named.

Recorded first: a training that begins in between must not ask for bytes that are about to be gone.
"""

from dataclasses import dataclass
from typing import Any

from shared.environment import Cloud
from shared.errors import BadInput
from shared.ids import ModelName, RunId, UploadId, test_of, upload_id
from shared.ledger import Ledger, Outcome, Record, erasure_key, run_key, upload_key, windows_prefix


@dataclass(frozen=True)
class Erased:
    """What was erased, and where something is left that was made of it."""

    upload: str
    name: str
    generation: int
    runs: tuple[str, ...]
    quarantine: str | None

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "runs": list(self.runs)}


def erase(cloud: Cloud, ledger: Ledger, model: ModelName, name: str, by: str, because: str) -> list[Erased]:
    """Erases every generation of an object of the data bucket; BadInput while one of them is still to be trained on."""
    generations = _generations(cloud, name)
    if not generations:
        raise BadInput("object", [f"there is no {name} in the data bucket"])
    found = [
        _found(ledger, model, name, generation, upload_id(cloud.data.bucket, name, generation))
        for generation in generations
    ]
    for each in found:
        ledger.once(erasure_key(model, UploadId(each.upload)), lambda each=each: _told(each, by, because))  # type: ignore[misc]
    for each in found:
        _delete(cloud, each)
    return found


def _told(erased: Erased, by: str, because: str) -> Outcome:
    return Outcome({"upload": erased.upload, "generation": erased.generation, "by": by, "because": because})


def _found(ledger: Ledger, model: ModelName, name: str, generation: int, upload: UploadId) -> Erased:
    own, tests = _windows(ledger, model), _windows(ledger, test_of(model))
    readers = [str(window.data["run"]) for window in (*own, *tests) if _holds(window, upload)]
    record = ledger.find(upload_key(model, upload))
    _check_trained_on(model, record, upload, own)
    newest = [str(window.data["run"]) for window in own[-1:]]
    _check_over(ledger, [*newest, *readers])
    quarantined = record.data.get("quarantine") if record else None
    return Erased(upload, name, generation, tuple(readers), str(quarantined) if quarantined else None)


def _windows(ledger: Ledger, model: ModelName) -> list[Record]:
    return [ledger.require(entry.key) for entry in ledger.entries(windows_prefix(model))]


def _check_trained_on(model: ModelName, record: Record | None, upload: UploadId, windows: list[Record]) -> None:
    """BadInput while the upload waits for its window to be closed."""
    accepted = record is not None and record.data["verdict"] == "accepted"
    if accepted and not any(_of_window(window, upload) for window in windows):
        raise BadInput(
            "upload", [f"it waits to be trained on: `serin train {model}` first, or drop a file in its place"]
        )


def _check_over(ledger: Ledger, runs: list[str]) -> None:
    """BadInput while one of these runs has not ended: the model's newest, or any that reads the upload, tests too."""
    for run in runs:
        if ledger.find(run_key(RunId(run), "end")) is None:
            raise BadInput("upload", [f"{run} is under way and may be reading it: wait for its end"])


def _holds(window: Record, upload: str) -> bool:
    return any(each["id"] == upload for each in (*window.data["uploads"], *window.data.get("earlier", ())))


def _of_window(window: Record, upload: str) -> bool:
    return any(each["id"] == upload for each in window.data["uploads"])


def _bucket(cloud: Cloud) -> Any:
    from google.cloud import storage

    return storage.Client(project=cloud.environment.project).bucket(cloud.environment.data_bucket)


def _generations(cloud: Cloud, name: str) -> list[int]:
    listed = _bucket(cloud).list_blobs(prefix=name, versions=True)
    return sorted(int(blob.generation) for blob in listed if blob.name == name)


def _delete(cloud: Cloud, erased: Erased) -> None:
    from google.api_core.exceptions import NotFound

    try:
        _bucket(cloud).blob(erased.name, generation=erased.generation).delete()
    except NotFound:
        return  # by an earlier try
