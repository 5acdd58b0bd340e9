"""Where the doctor looks: a project on Google Cloud, or a local installation, which has a part of the same things."""

import re
import shlex
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cli.doctor.asking import Eyes, Looked, at, words
from cli.doctor.findings import Finding, typed
from deploy.steps import Command
from deploy.target import builds_bucket

_MARK = re.compile(r"\{(\w+)(?::([\w-]+))?\}")
_LOCAL_RETRIES = frozenset({"min-retry-delay", "max-retry-delay"})  # a laptop's are shorter
_LOCAL_FLAGS = frozenset({
    "topic", "message-filter", "push-endpoint", "ack-deadline", "expiration-period", "dead-letter-topic",
    "max-delivery-attempts",
})  # fmt: skip
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class OnGoogle:
    """A project; `deploying` is the command line that carries the whole plan out."""

    eyes: Eyes
    project: str
    region: str
    deploying: str

    def offers(self, command: Command) -> bool:
        return self.eyes.offers(command)

    def look(self, command: Command) -> Looked:
        return self.eyes(tuple(map(self.filled, command)))

    def compares(self, flag: str) -> bool:
        return bool(flag)

    def filled(self, argument: str) -> str:
        return _MARK.sub(lambda mark: self._known(mark[1], mark[2] or "") or mark[0], argument)

    def mending(self, commands: tuple[Command, ...], *, there: bool) -> tuple[str, ...]:
        del there
        filled = [tuple(map(self.filled, command)) for command in commands]
        # What only a deployment has at hand: a function's source, a file, the address of what is not there yet.
        if any(_MARK.search(argument) for command in filled for argument in command):
            return (self.deploying,)
        return tuple(typed(command, self.project) for command in filled)

    def _known(self, kind: str, name: str) -> str:
        if kind == "project":
            return self.project
        if kind == "number":
            return str(at(self.eyes(("projects", "describe", self.project)).resource or {}, "projectNumber"))
        if kind == "uri":
            function = ("functions", "describe", name, f"--region={self.region}")
            return str(at(self.eyes(function).resource or {}, "serviceConfig.uri"))
        return ""


@dataclass(frozen=True)
class OnThisMachine:
    """A local installation: mended by starting it again, which makes what is missing, or by its own REST API."""

    eyes: Eyes
    project: str
    home: Path
    variables: Mapping[str, str]

    def offers(self, command: Command) -> bool:
        # Nobody has roles here, topics are made without being asked who makes them, and nothing is built.
        elsewhere = {"get-iam-policy", f"gs://{builds_bucket(self.project)}"}
        return elsewhere.isdisjoint(command) and self.eyes.offers(command)

    def look(self, command: Command) -> Looked:
        return self.eyes(command)

    def compares(self, flag: str) -> bool:
        return flag in _LOCAL_FLAGS - _LOCAL_RETRIES

    def filled(self, argument: str) -> str:
        return _MARK.sub(lambda mark: self._known(mark[1], mark[2] or "") or mark[0], argument)

    def mending(self, commands: tuple[Command, ...], *, there: bool) -> tuple[str, ...]:
        """What stands but differs is changed or removed first: starting again makes only what is missing."""
        first = tuple(filter(None, (self._by_hand(command, there) for command in commands)))
        only_changed = bool(first) and all("PATCH" in each for each in first)
        return first if only_changed else (*first, self.starting)

    @property
    def starting(self) -> str:
        return f"serin up --home {shlex.quote(str(self.home))}"

    def _known(self, kind: str, name: str) -> str:
        return f"{self.variables['SERIN_FUNCTIONS_HOST']}/{name.replace('-', '_')}" if kind == "uri" else ""

    def _by_hand(self, command: Command, there: bool) -> str:
        said = words(command)
        if said[:2] == ("pubsub", "subscriptions") and there and said[2] in ("delete", "update"):
            pubsub = self.variables["PUBSUB_EMULATOR_HOST"]
            return f"curl -X DELETE http://{pubsub}/v1/projects/{self.project}/subscriptions/{said[3]}"
        if said[:3] == ("storage", "buckets", "update") and "--versioning" in command:
            place = f"{self.variables['STORAGE_EMULATOR_HOST']}/storage/v1/b/{said[3].removeprefix('gs://')}"
            change = '\'{"versioning": {"enabled": true}}\''
            return f"curl -X PATCH -H 'Content-Type: application/json' -d {change} {place}"
        return ""


def answering(place: OnThisMachine, ports: Mapping[str, int]) -> Iterator[Finding]:
    """Whether each service of a local installation answers."""
    borrowed = {"pubsub": "PUBSUB_EMULATOR_HOST", "storage": "STORAGE_EMULATOR_HOST"}
    for service, port in ports.items():
        address = place.variables.get(borrowed.get(service, ""), "").removeprefix("http://") or f"127.0.0.1:{port}"
        if _answers(address):
            yield Finding("services", f"the local {service}", "fine")
        else:
            why = f"{address} does not answer"
            yield Finding("services", f"the local {service}", "wrong", why, (place.starting,))


def _answers(address: str) -> bool:
    place = urlsplit(f"//{address}")
    try:
        with socket.create_connection((place.hostname or "127.0.0.1", place.port or 80), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False
