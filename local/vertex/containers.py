"""What stands for a container here: an image's name is a command, and its environment is made as Vertex AI makes it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import CloudError, Status
from local.processes import Child, Processes

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Image:
    """The command that an image's entry point is, and the folder it runs in."""

    command: tuple[str, ...]
    cwd: Path | None = None

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Image":
        return Image(tuple(kept["command"]), Path(kept["cwd"]) if kept.get("cwd") else None)


@dataclass(frozen=True)
class Containers:
    """Starts containers with the addresses of the local cloud in their environment."""

    images: Mapping[str, Image]
    addresses: Mapping[str, str]
    processes: Processes
    logs: Path

    def check(self, image: str) -> None:
        """Raises INVALID_ARGUMENT when no folder stands for an image."""
        if image not in self.images:
            raise CloudError(Status.INVALID_ARGUMENT, f"Image {image} is not mapped to a command of this machine.")

    def start(self, image: str, arguments: Sequence[str], variables: Mapping[str, str], log: str) -> Child:
        """Starts an image's command; its output goes to the log of that name."""
        self.check(image)
        known = self.images[image]
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return self.processes.start(
            [*known.command, *arguments], {**inherited, **self.addresses, **variables}, self.log(log), known.cwd
        )

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def variables_of(container: Mapping[str, Any]) -> dict[str, str]:
    """The environment that a container specification asks for."""
    return {each["name"]: each.get("value", "") for each in container.get("env", ())}
