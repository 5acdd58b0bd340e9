"""The one way to gcloud: a command in, its exit status and texts out."""

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.steps import Command

# What gcloud says of an account, a permission or a metric that not everybody has heard of yet.
_UNSETTLED = (
    "permission_denied", "does not have", "does not exist", "cannot find metric", "missing permission",
    "unable to retrieve the repository metadata",
)  # fmt: skip
_NOT_ENABLED = ("service_disabled", "has not been used", "it is disabled")
# By gcloud's verb: what each command on custom roles is asked for.
_ROLE_PERMISSIONS = {
    "create": "iam.roles.create",
    "describe": "iam.roles.get",
    "undelete": "iam.roles.undelete",
    "update": "iam.roles.update",
}
_ABSENT = ("not_found", "not found", "does not exist")
# Nobody is asked anything, and no command looks for updates or proposes a survey.
_QUIET = {
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "true",
}


class Failed(Exception):
    """A command that failed, and what it said."""

    def __init__(self, command: Command, said: str) -> None:
        super().__init__(f"gcloud {' '.join(command)}\n  {said.strip() or 'said nothing'}")


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    status: int
    out: str = ""
    err: str = ""


class Gcloud(Protocol):
    """Carries out a command."""

    def __call__(self, command: Command, /) -> Answer: ...


@dataclass(frozen=True)
class InstalledGcloud:
    """The gcloud on the path, for one project, asking nothing; each command and answer also goes to the transcript."""

    project: str
    transcript: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, command: Command, /) -> Answer:
        began = time.monotonic()
        answer = self._answer(command)
        if self.transcript:
            told = {"status": answer.status, "out": answer.out, "err": answer.err}
            line = json.dumps({"command": command, **told, "seconds": round(time.monotonic() - began, 2)})
            with self._lock, self.transcript.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        return answer

    def _answer(self, command: Command) -> Answer:
        environment = {**os.environ, **_QUIET, "CLOUDSDK_CORE_PROJECT": self.project}
        try:
            done = subprocess.run(("gcloud", *command), env=environment, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return Answer(127, err="gcloud is not installed: https://cloud.google.com/sdk/docs/install")
        return Answer(done.returncode, done.stdout, done.stderr)


def absent(answer: Answer) -> bool:
    """Whether a command failed because what it asks for is not there."""
    text = answer.err.lower()
    return answer.status != 0 and any(each in text for each in _ABSENT)


def lacking(command: Command, answer: Answer) -> str:
    """What who deploys lacks to make roles, if that is why a command was refused: no step gives it, and no wait helps.

    Where the API was enabled a moment ago, that is what Google says, and what is waited for.
    """
    permission = _ROLE_PERMISSIONS.get(command[2]) if command[:2] == ("iam", "roles") else None
    text = answer.err.lower()
    if not (answer.status and permission and "permission" in text) or any(each in text for each in _NOT_ENABLED):
        return ""
    return f"Who deploys needs the permission {permission}, which roles/iam.roleAdmin gives."


def unsettled(answer: Answer) -> bool:
    """Whether a command may succeed once permissions, new accounts and metrics have reached everybody."""
    text = answer.err.lower()
    return answer.status != 0 and any(each in text for each in _UNSETTLED)
