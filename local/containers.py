"""What stands for a container here: an image's name is a command, and its environment is made as Vertex AI makes it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import CloudError, Status
from local.processes import Child, Processes

_INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Image:
    """The command that an image's entry point is, and the folder it runs in."""

    command: tuple[str, ...]
    cwd: Path | None = None


def images_of(path: Path | None) -> dict[str, Image]:
    """Images by name, kept in a file as `{NAME: {"command": [WORD, …], "cwd": FOLDER}}`; no file, no images."""
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path else {}
    return {
        name: Image(tuple(image["command"]), Path(image["cwd"]) if image.get("cwd") else None)
        for name, image in kept.items()
    }


@dataclass(frozen=True)
class Containers:
    """Starts containers with the addresses of the local cloud in their environment.

    Their home is an empty folder, so that no credentials file of the person's own home is found.
    """

    images: Mapping[str, Image]
    addresses: Mapping[str, str]
    processes: Processes
    folder: Path

    def check(self, image: str) -> None:
        """Raises INVALID_ARGUMENT when no command stands for an image."""
        if image not in self.images:
            known = ", ".join(sorted(self.images))
            raise CloudError(
                Status.INVALID_ARGUMENT, f"Image {image!r} is not mapped to a command of this machine; mapped: {known}."
            )

    def start(self, image: str, arguments: Sequence[str], variables: Mapping[str, str], log: str) -> Child:
        """Starts an image's command; its output goes to the log of that name."""
        self.check(image)
        known = self.images[image]
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        # Unbuffered, so that a log can be followed; without a metadata server, for there is none on this machine.
        fixed = {"HOME": str(home), "PYTHONUNBUFFERED": "1", "NO_GCE_CHECK": "true"}
        merged = {**inherited, **fixed, **self.addresses, **variables}
        try:
            return self.processes.start([*known.command, *arguments], merged, self.log(log), known.cwd)
        except OSError as error:
            raise CloudError(Status.FAILED_PRECONDITION, f"Image {image!r} cannot be started: {error}") from error

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"
