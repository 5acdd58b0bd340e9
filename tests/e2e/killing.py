"""Ends one process of a running story at a moment of its life, by its number, without a warning.

Who is who is read off the processes that descend from the story's own local cloud; nothing else is ever touched.
"""

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.demo.cloud import LocalCloud
from shared.errors import SerinError
from shared.wiring import FUNCTIONS

CLOUD = "local cloud"
SERVICES = ("pubsub", "storage", "vertex", "functions", "scheduler", "run")
WORKERS = ("training job", "serving container")
EVERYBODY = (CLOUD, *SERVICES, *WORKERS, *FUNCTIONS)
_LOOK_SECONDS = 0.1
LONG_SECONDS = 2.0
SHORT_SECONDS = 0.3
"""How long a process is let live at most, once it is seen: short where the act itself is."""


@dataclass(frozen=True)
class Kill:
    """One process that was ended: which, and when since the act began."""

    who: str
    pid: int
    seconds: float


class Killer:
    """Ends one process of each of the named kinds, a while after it is first seen, and never two at the same moment."""

    def __init__(
        self, local: LocalCloud, kinds: Sequence[str], chance: random.Random, longest_seconds: float = LONG_SECONDS
    ) -> None:
        self.kills: list[Kill] = []
        self.trouble = ""
        self._local = local
        self._over = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._begun = time.monotonic()
        lives = [chance.uniform(0, longest_seconds) for _ in kinds]
        self._threads = [
            threading.Thread(target=self._run, args=each, name=f"killer of {each[0]}")
            for each in zip(kinds, lives, strict=True)
        ]

    def __enter__(self) -> "Killer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind: str, life_seconds: float) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            if not processes_of(self._local).get(kind) or self._over.wait(life_seconds):
                continue
            with self._one_at_a_time:
                victims = processes_of(self._local).get(kind, [])
                if victims and _ended(self._local, kind, victims[0]):
                    self.kills.append(Kill(kind, victims[0].pid, time.monotonic() - self._begun))
                    self._restart(kind)
                    return

    def _restart(self, kind: str) -> None:
        """Starts the local cloud again, as whoever runs it would; everything else is started again by it."""
        if kind != CLOUD:
            return
        try:
            self._local.start()
        except SerinError as error:
            self.trouble = f"the local cloud did not start again: {error}"


def processes_of(local: LocalCloud) -> dict[str, list[psutil.Process]]:
    """The processes that descend from a local cloud, by what they are."""
    found: dict[str, list[psutil.Process]] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(local.pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if kind := kind_of(process.cmdline()):
                    found.setdefault(kind, []).append(process)
    return found


def kind_of(command: Sequence[str]) -> str:
    """What a process of the local cloud is, by its command line; nothing for one that is none of ours."""
    match [Path(part).name for part in command[1:4]], list(command):
        case (["-m", "local", *_], _):
            return CLOUD
        case (["-m", "training_image", *_], _):
            return "training job"
        case (["main.py", *_], _):  # a trainer of somebody's own
            return "training job"
        case (["-m", "serving_image", *_], _):
            return "serving container"
        case (["-m", _, *_], [*_, "--target", name, "--host", _, "--port", _]):
            return name
        case (["-m", module, *_], _) if module.startswith("local."):
            return module.removeprefix("local.")
    return ""


def _ended(local: LocalCloud, kind: str, victim: psutil.Process) -> bool:
    """Whether the process was alive and now is not."""
    if kind == CLOUD:
        local.kill()
        return True
    try:
        victim.kill()
        victim.wait(timeout=5)
    except psutil.NoSuchProcess:
        return False
    except psutil.TimeoutExpired:
        pass  # ended, and its parent has not yet taken notice
    return True


def rounds(kinds: Sequence[str], acts: Sequence[int], at_once: int) -> Iterator[dict[int, tuple[str, ...]]]:
    """Who is ended in which act, play by play, until every kind has had its turn in every act."""
    plays = -(-len(kinds) // at_once)
    for play in range(plays):
        yield {act: tuple(kinds[(play + act) % plays :: plays]) for act in acts}
