"""Keeps the jobs in one JSON file that is replaced whole: a kill at any moment leaves the old or the new."""

import json
from pathlib import Path

from local.errors import CloudError, Status
from local.fields import Document


class Store:
    """Jobs by name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "jobs.json"
        kept: Document = json.loads(self._path.read_text()) if self._path.exists() else {"jobs": {}, "last": 0}
        self._jobs: dict[str, Document] = kept["jobs"]
        self._last: int = kept["last"]

    def number(self) -> int:
        """A number that no job of ours has had."""
        self._last += 1
        return self._last

    def find(self, name: str) -> Document | None:
        return self._jobs.get(name)

    def get(self, name: str) -> Document:
        """The job, or NOT_FOUND in Google's words."""
        if name not in self._jobs:
            raise CloudError(Status.NOT_FOUND, "Job not found.")
        return self._jobs[name]

    def below(self, parent: str) -> list[Document]:
        return [job for name, job in sorted(self._jobs.items()) if name.startswith(f"{parent}/jobs/")]

    def every(self) -> list[Document]:
        return list(self._jobs.values())

    def put(self, job: Document) -> Document:
        self._jobs[job["name"]] = job
        self._write()
        return job

    def delete(self, name: str) -> None:
        del self._jobs[name]
        self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"jobs": self._jobs, "last": self._last}))
        draft.replace(self._path)
