"""Which installation a command speaks to: Google Cloud when the environment names its buckets, else a local one."""

import getpass
import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.envelope import Envelope
from shared.environment import Cloud, GoogleCloud, read_environment
from shared.errors import BadInput
from shared.events import Event
from shared.ledger import Author, Ledger
from shared.step import publish
from shared.trace import started

DEFAULT_HOME = Path("build/local")


@contextmanager
def connected(home: Path | None) -> Iterator[Cloud]:
    """The installation. One that is not running is read from its files: its storage runs for as long as the block does.

    Raises BadInput when there is none.
    """
    if home is None and "SERIN_STATE_BUCKET" in os.environ:
        yield GoogleCloud(read_environment(os.environ))
        return
    place = home or Path(os.environ.get("SERIN_HOME") or DEFAULT_HOME)
    if not (place / "ports.json").exists():
        raise BadInput("installation", [f"there is none in {place}: `serin up` makes one"])
    variables = _variables(place)
    if _answers(variables["STORAGE_EMULATOR_HOST"]):
        os.environ.update(variables)
        yield GoogleCloud(read_environment(variables))
        return
    if not (place / "storage").exists():
        raise BadInput("installation", [f"its storage, {variables['STORAGE_EMULATOR_HOST']}, does not answer"])
    with _storage_of(place) as url:
        variables = {**variables, "STORAGE_EMULATOR_HOST": url}
        os.environ.update(variables)
        yield GoogleCloud(read_environment(variables))


def installation(home: Path) -> tuple[dict[str, str], dict[str, int]]:
    """What a local installation tells its functions, and each service's port; raises BadInput when there is none."""
    if not (home / "ports.json").exists() or not (home / "installation").exists():
        raise BadInput("installation", [f"there is none in {home}: `serin up` makes one"])
    ports: dict[str, int] = json.loads((home / "ports.json").read_text())
    return _variables(home), ports


def borrowing(pubsub: str | None, storage: str | None) -> list[str]:
    """What tells the local cloud to use a running Pub/Sub (HOST:PORT) or Cloud Storage (a URL) instead of its own."""
    given = {"--pubsub": pubsub, "--storage": storage.rstrip("/") if storage else None}
    return [word for option, value in given.items() if value for word in (option, value)]


def ledger_of(cloud: Cloud) -> Ledger:
    """The ledger as a person reads it."""
    return Ledger(cloud.state, Author("cli", None, None, cloud.now, cloud.token))


def say(cloud: Cloud, event: Event, name: str | None = None) -> Envelope:
    """Publishes a person's event."""
    identity = name or f"cli/{uuid.uuid4().hex}"
    envelope = Envelope(identity, "//serin/cli", cloud.now(), event, traceparent=started(identity))
    publish(cloud, envelope)
    return envelope


def person(by: str | None) -> str:
    """Who is asking: the name given, else the one logged in."""
    return by or getpass.getuser()


def _variables(home: Path) -> dict[str, str]:
    """What the supervisor told its functions, written down for whoever comes later."""
    lines = (home / "installation").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _answers(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@contextmanager
def _storage_of(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "local.storage", "--port", "0", "--data", str(home / "storage")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
