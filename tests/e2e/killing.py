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
from shared.wiring import FUNCTIONS

CLOUD = "local cloud"
SERVICES = ("pubsub", "storage", "vertex", "functions", "scheduler")
WORKERS = ("training job", "serving container")
EVERYBODY = (CLOUD, *SERVICES, *WORKERS, *FUNCTIONS)
_LOOK_SECONDS = 0.02
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
    """Ends each of the named kinds of process once, one after the other, as soon as there is one."""

    def __init__(
        self, local: LocalCloud, kinds: Sequence[str], chance: random.Random, longest_seconds: float = LONG_SECONDS
    ) -> None:
        self.kills: list[Kill] = []
        self.trouble = ""
        self._local = local
        self._kinds = kinds
        self._chance = chance
        self._longest_seconds = longest_seconds
        self._over = threading.Event()
        self._begun = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="killer")

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        waiting = list(self._kinds)
        while waiting and not self._over.wait(_LOOK_SECONDS):
            found = processes_of(self._local)
            kind = next((kind for kind in waiting if found.get(kind)), None)
            if kind is None or self._over.wait(self._chance.uniform(0, self._longest_seconds)):
                continue
            victim = self._chance.choice(found[kind])
            if _ended(self._local, kind, victim):
                self.kills.append(Kill(kind, victim.pid, time.monotonic() - self._begun))
                waiting.remove(kind)
                self._restart(kind)

    def _restart(self, kind: str) -> None:
        """Starts the local cloud again, as whoever runs it would; everything else is started again by it."""
        if kind != CLOUD:
            return
        try:
            self._local.start()
        except Exception as error:
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
        case (["-m", "serving_image", *_], _):
            return "serving container"
        case (["-m", "functions_framework", *_], [*_, "--target", name, "--host", _, "--port", _]):
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
