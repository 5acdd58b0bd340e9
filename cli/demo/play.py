"""Plays the story in a fresh home and says how many acts ended as told."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console

from cli.demo.acts import PLAY
from cli.demo.cloud import LocalCloud, local_cloud
from cli.demo.stage import OtherwiseEndedError, Stage
from cli.demo.story import Act, cut
from cli.demo.timeline import Timeline, listening
from shared.errors import SerinError
from shared.settings import Backend

ACTS = len(PLAY)
Around = Callable[[Stage, Act], AbstractContextManager[object]]
"""What is done around an act: nothing, or harm."""


def ends_when_told() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does: everything that it started ends first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def play(
    local: LocalCloud, seed: int, acts: int, console: Console, patience: float = 1.0, backend: Backend = "vertex"
) -> int:
    """Plays the first acts of the story; answers 0 if each ended as told, else 1."""
    begun = time.monotonic()
    with staged(local, seed, console, backend) as stage:
        stage.patience = patience
        as_told = sum(played(stage, acts))
    seconds = time.monotonic() - begun
    console.print(f"{seconds:.0f} s; ledger, buckets and timeline are in {local.home}", highlight=False)
    console.print(f"demo: {as_told} of {acts} acts ended as told", highlight=False)
    return 0 if as_told == acts else 1


@contextmanager
def staged(local: LocalCloud, seed: int, console: Console, backend: Backend = "vertex") -> Iterator[Stage]:
    """A stage on a fresh local cloud, its timeline listening; whatever the acts started ends with the block."""
    shutil.rmtree(local.home, ignore_errors=True)
    local.home.mkdir(parents=True)
    with console.status("the local cloud is starting") as starting, local_cloud(local) as cloud:
        starting.stop()
        if cloud.state.entries(""):
            raise OtherwiseEndedError("there is a ledger already: the demo needs a store that was just started")
        timeline = Timeline(console, local.home / "timeline.jsonl")
        stage = Stage(cloud, timeline, cut(seed), console, backend=backend)
        try:
            with listening(cloud, timeline):
                yield stage
        finally:
            if stage.crowd:
                stage.crowd.stop()


def played(stage: Stage, acts: int, around: Around = lambda _stage, _act: nullcontext()) -> list[bool]:
    """Whether each of the first acts ended as told; an act that did not says so, and the story goes on."""
    told = []
    for act, performed in zip(stage.story.acts[:acts], PLAY, strict=False):
        with around(stage, act):
            told.append(_ended_as_told(stage, act, performed))
    return told


def _ended_as_told(stage: Stage, act: Act, performed: Callable[[Stage, Act], str]) -> bool:
    stage.console.rule(f"act {act.number}: {act.title}")
    begun = time.monotonic()
    try:
        ended = performed(stage, act)
    except SerinError as error:
        stage.console.print(f"[red]act {act.number} ended otherwise:[/] {error}")
        return False
    stage.console.print(f"[green]act {act.number} ended as told[/] ({time.monotonic() - begun:.1f} s): {ended}")
    return True
