"""Runs the whole local cloud: five services, each a process of its own, each started again when it ends."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.processes import Child, Processes, free_port, wait_for_port, without_credentials
from local.wiring import Retry, wire_pubsub, wire_storage
from shared.foreign import CLOCK_TICKED

PROJECT = "serin-local"
_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.2
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Installation:
    """A local installation: where it keeps things and how fast its clock ticks."""

    home: Path
    tick_seconds: float
    ports: Mapping[str, int]
    notify_urls: tuple[str, ...] = ()
    trainers: Mapping[str, Path] = field(default_factory=dict)

    @property
    def notices(self) -> Path:
        """The file in which everything is kept that people are told."""
        return self.home / "notices.txt"

    @property
    def environment(self) -> dict[str, str]:
        """What functions and the `serin` command need to know."""
        return {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "SERIN_REGION": "us-central1",
            "SERIN_DATA_BUCKET": "serin-data",
            "SERIN_STATE_BUCKET": "serin-state",
            "SERIN_ARTEFACTS_BUCKET": "serin-artefacts",
            "SERIN_TRAINING_IMAGE": "serin-training:local",
            "SERIN_SERVING_IMAGE": "serin-serving:local",
            "SERIN_LEASE_SECONDS": str(max(5.0, min(60.0, self.tick_seconds * 5))),
            "SERIN_SWEEP_SECONDS": str(self.tick_seconds * 30),
            "SERIN_NOTIFY_URLS": " ".join([*self.notify_urls, self.notices.resolve().as_uri()]),
            "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{self.ports['pubsub']}",
            "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self.ports['storage']}",
            "SERIN_VERTEX_ENDPOINT": f"http://127.0.0.1:{self.ports['vertex']}",
            "SERIN_LOGGING_ENDPOINT": f"http://127.0.0.1:{self.ports['vertex']}",
            "SERIN_FUNCTIONS_HOST": f"http://127.0.0.1:{self.ports['functions']}",
        }

    @property
    def commands(self) -> dict[str, list[str]]:
        """The services in the order in which they can be started."""
        known = self.environment
        pubsub, storage = known["PUBSUB_EMULATOR_HOST"], known["STORAGE_EMULATOR_HOST"]
        topic = f"projects/{PROJECT}/topics/{CLOCK_TICKED}"
        return {
            "pubsub": self._command("pubsub"),
            "storage": [*self._command("storage"), "--pubsub", pubsub],
            "vertex": [
                *self._command("vertex"), "--images", str(self.home / "images.json"), "--storage", storage,
                "--pubsub", pubsub, "--project", PROJECT,
            ],
            "functions": [*self._command("functions"), "--source", str(_ROOT / "functions")],
            "scheduler": [
                sys.executable, "-m", "local.scheduler", "--pubsub", pubsub, "--topic", topic,
                "--seconds", str(self.tick_seconds),
            ],
        }  # fmt: skip

    @property
    def retry(self) -> Retry:
        """A laptop's retries: as much quicker than Google Cloud's as its clock is."""
        return Retry(min(10.0, max(0.2, self.tick_seconds / 5)), min(600.0, max(3.0, self.tick_seconds * 10)))

    def _command(self, service: str) -> list[str]:
        port, data = str(self.ports[service]), str(self.home / service)
        return [sys.executable, "-m", f"local.{service}", "--port", port, "--data", data]


def installed(
    home: Path, tick_seconds: float, first_port: int, trainers: Mapping[str, Path] | None = None
) -> Installation:
    """An installation in a home: on the ports it had before, else from the first port on, 0 meaning free ones."""
    home.mkdir(parents=True, exist_ok=True)
    kept = home / "ports.json"
    services = ("pubsub", "storage", "vertex", "functions")
    if kept.exists():
        ports = json.loads(kept.read_text())
    else:
        ports = {name: first_port + place if first_port else free_port() for place, name in enumerate(services)}
        kept.write_text(json.dumps(ports))
    notify_urls = tuple(os.environ.get("SERIN_NOTIFY_URLS", "").split())
    return Installation(home.resolve(), tick_seconds, ports, notify_urls, trainers or {})


@contextmanager
def running(installation: Installation) -> Iterator[None]:
    """Runs every service, wired, for as long as the block does.

    `HOME/environment` stands while all is ready; `HOME/installation` says the same and stays, for whoever reads later.
    """
    home = installation.home
    (home / "environment").unlink(missing_ok=True)
    _write_images(home / "images.json", installation.trainers)
    processes = Processes(home / "supervisor")
    processes.end_leftovers()
    services = {
        name: Service(name, command, installation, processes) for name, command in installation.commands.items()
    }
    started: list[Service] = []
    stopped = threading.Event()
    keeper = threading.Thread(target=_keep, args=(started, stopped), daemon=True)
    try:
        for name in ("pubsub", "storage", "vertex", "functions"):
            services[name].start()
            started.append(services[name])
        for service in started:
            service.wait_ready()
        _wire(installation)
        services["scheduler"].start()
        started.append(services["scheduler"])
        keeper.start()
        _write_environment(home / "installation", installation.environment)
        _write_environment(home / "environment", installation.environment)
        yield
    finally:
        stopped.set()
        for service in reversed(started):
            service.stop()
        (home / "environment").unlink(missing_ok=True)


class Service:
    """One service and its process."""

    def __init__(self, name: str, command: Sequence[str], installation: Installation, processes: Processes) -> None:
        self.name = name
        self._command = command
        self._installation = installation
        self._processes = processes
        self._child: Child | None = None

    def start(self) -> None:
        """Starts the process; it is ready once its port answers."""
        inherited = without_credentials(os.environ)
        variables = {**inherited, **self._installation.environment}
        log = self._installation.home / "logs" / f"{self.name}.log"
        self._child = self._processes.start(self._command, variables, log, _ROOT)

    def wait_ready(self) -> None:
        """Waits until the port answers; raises RuntimeError when the process ends before."""

        assert self._child is not None
        if not wait_for_port(self._installation.ports[self.name], self._child, _READY_SECONDS):
            raise RuntimeError(f"{self.name} did not start: see {self._installation.home / 'logs' / self.name}.log")

    def revive(self) -> None:
        """Starts the process again if it has ended."""
        if self._child is not None and self._child.poll() is not None:
            self._processes.forget(self._child)
            self.start()

    def stop(self) -> None:
        if self._child is not None:
            self._processes.stop(self._child, 8.0)


def _keep(services: Sequence[Service], stopped: threading.Event) -> None:
    while not stopped.wait(_LOOK_SECONDS):
        for service in services:
            service.revive()


def _wire(installation: Installation) -> None:
    known = installation.environment
    functions = known["SERIN_FUNCTIONS_HOST"]
    wire_pubsub(known["PUBSUB_EMULATOR_HOST"], PROJECT, functions, installation.retry)
    others = (known["SERIN_STATE_BUCKET"], known["SERIN_ARTEFACTS_BUCKET"])
    wire_storage(known["STORAGE_EMULATOR_HOST"], PROJECT, known["SERIN_DATA_BUCKET"], others)


def _write_images(path: Path, trainers: Mapping[str, Path]) -> None:
    """What stands for images on this machine: Serin's two, and folders with a `main.py` for other trainers'."""
    images = {
        "serin-training:local": {"command": [sys.executable, "-m", "training_image"], "cwd": str(_ROOT)},
        "serin-serving:local": {"command": [sys.executable, "-m", "serving_image"], "cwd": str(_ROOT)},
    }
    own = {name: {"command": [sys.executable, "main.py"], "cwd": str(folder)} for name, folder in trainers.items()}
    path.write_text(json.dumps({**images, **own}))


def _write_environment(path: Path, variables: Mapping[str, str]) -> None:
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)  # the addresses of channels may hold secrets
    draft.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    draft.replace(path)
