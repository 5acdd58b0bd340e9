"""The one way to gcloud: a command in, its exit status and texts out."""

import os
import subprocess
from dataclasses import dataclass
from typing import Protocol

from deploy.steps import Command


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str = ""
    err: str = ""


class Gcloud(Protocol):
    """Carries out one command of gcloud; never raises for a command that failed."""

    def __call__(self, command: Command, /) -> Answer: ...


@dataclass(frozen=True)
class InstalledGcloud:
    """The gcloud on the path, for one project, asking nothing."""

    project: str

    def __call__(self, command: Command, /) -> Answer:
        environment = {**os.environ, "CLOUDSDK_CORE_PROJECT": self.project, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        try:
            done = subprocess.run(("gcloud", *command), env=environment, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return Answer(127, err="gcloud is not installed: https://cloud.google.com/sdk/docs/install")
        return Answer(done.returncode, done.stdout, done.stderr)


def absent(answer: Answer) -> bool:
    """Whether a command failed because what it asks for is not there."""
    text = answer.err.lower()
    return answer.status != 0 and any(each in text for each in ("not_found", "not found", "does not exist"))


def unsettled(answer: Answer) -> bool:
    """Whether a command may succeed once permissions or new accounts have reached everybody."""
    text = answer.err.lower()
    return answer.status != 0 and any(each in text for each in ("permission_denied", "does not have", "does not exist"))
