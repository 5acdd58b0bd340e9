"""What a command of the plan names but only the deployment knows: numbers and addresses asked for, files written.

{number}            the project's number             {source:FUNCTION}  a folder with a function's files
{uri:FUNCTION}      where a function answers         {context:IMAGE}    a folder with an image's files
{image:IMAGE}       an image by its digest           {build:IMAGE}      how an image is built
{policy:NAME}       an alert policy's full name      {metric:NAME}, {alert:NAME}, {dashboard:NAME}
{panel:NAME}        a dashboard's full name              their configurations, each as a file
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy import alerts, dashboard, images, metrics, source
from deploy.gcloud import Answer, Failed, Gcloud
from deploy.once import Once
from deploy.steps import Command
from deploy.target import Target

_ADDRESSES = "--format=json(name,serviceConfig.uri)"
_PLACEHOLDER = re.compile(r"\{([a-z]+)(?::([A-Za-z_-]+))?\}")


class Gone(Exception):
    """A command names a thing that is not there."""


@dataclass
class Filling:
    """Fills commands in; what is asked for once is remembered, but for what may be removed meanwhile."""

    gcloud: Gcloud
    target: Target
    table: dict[str, Any]
    folder: Path  # where its files are written
    write_source: Callable[[str, Path], None] = source.write
    write_context: Callable[[str, Path], None] = images.write
    _known: Once[str, str] = field(default_factory=Once)
    _listed: Once[Command, Answer] = field(default_factory=Once)

    def filled(self, command: Command) -> Command:
        """The command as gcloud takes it, the files that it names written. Raises Failed and Gone."""
        return tuple(_PLACEHOLDER.sub(self._value, each) if "{" in each else each for each in command)

    def _value(self, found: re.Match[str]) -> str:
        kind, name = found[1], found[2] or ""
        if written := self._written(kind, name):
            file = self.folder / f"{kind}-{name}.json"
            file.write_text(written, encoding="utf-8")
            return str(file)
        if kind in ("source", "context"):
            folder = self.folder / f"{kind}-{name}"
            (self.write_source if kind == "source" else self.write_context)(name, folder)
            return str(folder)
        if kind == "uri":
            return self._known(found[0], lambda: self._address(name))
        if kind in ("number", "image"):
            return self._known(found[0], lambda: self._asked(kind, name))
        if kind in ("policy", "panel"):
            return self._full_name(kind, name)
        return found[0]

    def _written(self, kind: str, name: str) -> str:
        match kind:
            case "build":
                return images.config(self.target, name)
            case "metric":
                return metrics.config(next(each for each in self.table["metrics"] if each["name"] == name))
            case "alert":
                return json.dumps(alerts.policies(self.target, self.table)[name], indent=1)
            case "dashboard":
                return json.dumps(dashboard.config(self.table), indent=1)
            case _:
                return ""

    def _asked(self, kind: str, name: str) -> str:
        command = self._question(kind, name)
        answer = self.gcloud(command)
        if answer.status or not answer.out.strip():
            raise Failed(command, answer.err)
        return answer.out.strip()

    def _address(self, function: str) -> str:
        """Where a function answers, from one list of all: they are deployed before anybody asks."""
        command: Command = ("functions", "list", "--v2", f"--regions={self.target.region}", _ADDRESSES)
        answer = self._listed(command, lambda: self.gcloud(command))
        if answer.status:
            raise Failed(command, answer.err)
        for each in json.loads(answer.out or "[]"):
            if each["name"].rpartition("/")[2] == function and (uri := each.get("serviceConfig", {}).get("uri")):
                return str(uri)
        raise Failed(command, f"NOT_FOUND: {function} has no address")

    def _question(self, kind: str, name: str) -> Command:
        if kind == "number":
            return ("projects", "describe", self.target.project, "--format=value(projectNumber)")
        digest = "--format=value(image_summary.fully_qualified_digest)"
        return ("artifacts", "docker", "images", "describe", images.named(self.target, name), digest)

    def _full_name(self, kind: str, name: str) -> str:
        group, labels = {
            "policy": (("alpha", "monitoring", "policies"), "userLabels"),
            "panel": (("monitoring", "dashboards"), "labels"),
        }[kind]
        command: Command = (*group, "list", f"--format=json(name,{labels})")
        answer = self.gcloud(command)
        if answer.status:
            raise Failed(command, answer.err)
        for each in json.loads(answer.out or "[]"):
            if each.get(labels, {}).get("serin") == name:
                return str(each["name"])
        raise Gone(f"{kind} {name}")
