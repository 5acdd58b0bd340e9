"""Runs the whole local cloud: six services, each a process of its own, each started again when it ends."""

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.loopback import is_loopback
from local.processes import Child, Processes, free_port, wait_for_port, without_credentials
from shared.foreign import CLOCK_TICKED
from shared.wiring import METRICS

PROJECT = "serin-local"
PUSHER = f"serin-push@{PROJECT}.iam.gserviceaccount.com"
_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.2
_SERVICES = ("pubsub", "storage", "vertex", "functions", "scheduler", "run")
_UNTOLD_SWEEP_TICKS = 2  # where no notification comes, reconcile alone finds the uploads
_ROOT = Path(__file__).parents[1]


class PortTaken(Exception):
    """Somebody else's process, such as another installation's, answers where one of our services would."""

    def __init__(self, service: str, port: int) -> None:
        super().__init__(
            f"127.0.0.1:{port}, where {service} would answer, is taken: end what runs there, such as another"
            " `serin up`, or begin in a new home with `python -m local --home HOME --ports 0`, which takes free ports"
        )


@dataclass(frozen=True)
class Borrowed:
    """Services of somebody else in the place of ours, already running on this machine: Google's own, for example.

    `pubsub` is HOST:PORT, `storage` a URL; raises ValueError for what is not on this machine's loopback.
    """

    pubsub: str | None = None
    storage: str | None = None

    def __post_init__(self) -> None:
        if self.pubsub is not None and not is_loopback(self.pubsub):
            raise ValueError(f"{self.pubsub} is not HOST:PORT of this machine's loopback")
        if self.storage is not None and not is_loopback(self.storage.removeprefix("http://")):
            raise ValueError(f"{self.storage} is not http://HOST:PORT of this machine's loopback")


@dataclass(frozen=True)
class Installation:
    """A local installation: where it keeps things, how fast its clock ticks and which services are not its own."""

    home: Path
    tick_seconds: float
    ports: Mapping[str, int]
    notify_urls: tuple[str, ...] = ()
    borrowed: Borrowed = Borrowed()
    trainers: Mapping[str, Path] = field(default_factory=dict)

    @property
    def notices(self) -> Path:
        """The file in which everything is kept that people are told."""
        return self.home / "notices.txt"

    @property
    def metrics(self) -> Path:
        """The file that says what is measured."""
        return self.home / "metrics.json"

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
            "SERIN_SWEEP_SECONDS": str(self.tick_seconds * (_UNTOLD_SWEEP_TICKS if self.borrowed.storage else 30)),
            "SERIN_NOTIFY_URLS": " ".join([*self.notify_urls, self.notices.resolve().as_uri()]),
            "PUBSUB_EMULATOR_HOST": self.borrowed.pubsub or f"127.0.0.1:{self.ports['pubsub']}",
            "STORAGE_EMULATOR_HOST": self.borrowed.storage or f"http://127.0.0.1:{self.ports['storage']}",
            "SERIN_VERTEX_ENDPOINT": f"http://127.0.0.1:{self.ports['vertex']}",
            "SERIN_RUN_ENDPOINT": f"http://127.0.0.1:{self.ports['run']}",
            "GCE_METADATA_HOST": f"127.0.0.1:{self.ports['run']}",
            "SERIN_LOGGING_ENDPOINT": f"http://127.0.0.1:{self.ports['vertex']}",
            "SERIN_FUNCTIONS_HOST": f"http://127.0.0.1:{self.ports['functions']}",
            **self._tokens,
        }

    @property
    def _tokens(self) -> dict[str, str]:
        """What functions verify pushes by; Google's emulator signs none, whatever else this shell has set."""
        if self.borrowed.pubsub:
            return dict.fromkeys(("SERIN_PUSH_ACCOUNT", "SERIN_PUSH_AUDIENCE", "SERIN_PUSH_KEYS_URL"), "")
        return {
            "SERIN_PUSH_ACCOUNT": PUSHER,
            "SERIN_PUSH_AUDIENCE": f"http://127.0.0.1:{self.ports['functions']}/{{function}}",
            "SERIN_PUSH_KEYS_URL": f"http://127.0.0.1:{self.ports['pubsub']}/oauth2/v1/certs",
        }

    @property
    def commands(self) -> dict[str, list[str]]:
        """Our own services in the order in which they can be started."""
        known = self.environment
        pubsub, storage = known["PUBSUB_EMULATOR_HOST"], known["STORAGE_EMULATOR_HOST"]
        topic = f"projects/{PROJECT}/topics/{CLOCK_TICKED}"
        commands = {
            "pubsub": [*self._command("pubsub"), *_asked_for("--faults", "SERIN_PUBSUB_FAULTS")],
            "storage": [*self._command("storage"), "--pubsub", pubsub],
            "vertex": [
                *self._command("vertex"), "--images", str(self.home / "images.json"), "--storage", storage,
                "--pubsub", pubsub, "--project", PROJECT, "--run-data", str(self.home / "run"),
            ],
            "run": [
                *self._command("run"), "--images", str(self.home / "images.json"), "--storage", storage,
                "--pubsub", pubsub, "--project", PROJECT,
            ],
            "functions": [
                *self._command("functions"), "--source", str(_ROOT / "functions"), "--metrics", str(self.metrics),
                *_asked_for("--runner", "SERIN_FUNCTIONS_RUNNER"),
            ],
            "scheduler": [
                *self._command("scheduler"), "--pubsub", pubsub, "--topic", topic, "--seconds", str(self.tick_seconds),
            ],
        }  # fmt: skip
        return {name: command for name, command in commands.items() if getattr(self.borrowed, name, None) is None}

    def _command(self, service: str) -> list[str]:
        port, data = str(self.ports[service]), str(self.home / service)
        return [sys.executable, "-m", f"local.{service}", "--port", port, "--data", data]


def _asked_for(option: str, variable: str) -> list[str]:
    """An option that only a test asks for, of this machine's services alone: docs/local-cloud.md."""
    wanted = os.environ.get(variable)
    return [option, wanted] if wanted else []


def installed(
    home: Path, tick_seconds: float, first_port: int, borrowed: Borrowed = Borrowed(),
    trainers: Mapping[str, Path] | None = None,
) -> Installation:  # fmt: skip
    """An installation in a home: on the ports it had before, else from the first port on, 0 meaning free ones."""
    home.mkdir(parents=True, exist_ok=True)
    kept = home / "ports.json"
    ports = {name: first_port + place if first_port else free_port() for place, name in enumerate(_SERVICES)}
    if kept.exists():
        ports |= json.loads(kept.read_text())
    kept.write_text(json.dumps(ports))
    notify_urls = tuple(os.environ.get("SERIN_NOTIFY_URLS", "").split())
    return Installation(home.resolve(), tick_seconds, ports, notify_urls, borrowed, trainers or {})


@contextmanager
def running(installation: Installation) -> Iterator[None]:
    """Runs every service, wired, for as long as the block does.

    `HOME/environment` stands while all is ready; `HOME/installation` says the same and stays, for whoever reads later.
    Raises PortTaken, having started nothing, where somebody else answers already: everything would go to them.
    """
    home = installation.home
    (home / "environment").unlink(missing_ok=True)
    _write_images(home / "images.json", installation.trainers)
    installation.metrics.write_text(json.dumps([asdict(metric) for metric in METRICS]))
    processes = Processes(home / "supervisor")
    processes.end_leftovers()
    _refuse_taken_ports(installation)
    services = {
        name: Service(name, command, installation, processes) for name, command in installation.commands.items()
    }
    started: list[Service] = []
    stopped = threading.Event()
    keeper = threading.Thread(target=_keep, args=(started, stopped), daemon=True)
    try:
        for service in [services[name] for name in services if name != "scheduler"]:
            service.start()
            started.append(service)
        _wire(installation, started)
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


def _refuse_taken_ports(installation: Installation) -> None:
    for name in installation.commands:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", installation.ports[name])) == 0:
                raise PortTaken(name, installation.ports[name])


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


def _wire(installation: Installation, started: Sequence["Service"]) -> None:
    # Imported while the services start: the catalogue of events takes half a second.
    from local.wiring import Retry, Target, wire_pubsub, wire_storage

    for service in started:
        service.wait_ready()
    known, tick = installation.environment, installation.tick_seconds
    # A laptop's retries: as much quicker than Google Cloud's as its clock is.
    retry = Retry(min(10.0, max(0.2, tick / 5)), min(600.0, max(3.0, tick * 10)))
    target = Target(known["SERIN_FUNCTIONS_HOST"], known.get("SERIN_PUSH_ACCOUNT", ""))
    wire_pubsub(known["PUBSUB_EMULATOR_HOST"], PROJECT, target, retry)
    others = (known["SERIN_STATE_BUCKET"], known["SERIN_ARTEFACTS_BUCKET"])
    notifies = installation.borrowed.storage is None
    wire_storage(known["STORAGE_EMULATOR_HOST"], PROJECT, known["SERIN_DATA_BUCKET"], others, notifies)


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
