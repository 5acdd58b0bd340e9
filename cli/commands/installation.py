"""What runs an installation, and what checks one."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.connection import DEFAULT_HOME, borrowing
from cli.options import AsJson, Home

app = typer.Typer()
Pubsub = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="a running Pub/Sub, such as Google's emulator")]
Storage = Annotated[str | None, typer.Option(metavar="URL", help="a running Cloud Storage that sends no notifications")]


@app.command()
def up(
    home: Annotated[Path, typer.Option(help="where everything is kept")] = DEFAULT_HOME,
    tick_seconds: Annotated[float, typer.Option(help="how often the clock ticks")] = 5.0,
    pubsub: Pubsub = None,
    storage: Storage = None,
    trainer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="run this folder's main.py as the image of that name"),
    ] = None,
) -> None:
    """Run the local cloud and every function, until Ctrl-C."""
    command = [sys.executable, "-m", "local", "--home", str(home), "--tick-seconds", str(tick_seconds)]
    command += [*borrowing(pubsub, storage), *(f"--trainer={one}" for one in trainer or ())]
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        raise typer.Exit(process.wait())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def doctor(
    context: typer.Context,
    settings: Annotated[Path | None, typer.Option(help="a model's settings, for the quotas that it needs")] = None,
    every: Annotated[bool, typer.Option("--all", help="print what is fine, too")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Check a deployment before its first run, and name what mends it: PROJECT REGION and options as for deploy.sh.

    Without them, what the environment names is checked, or else a local installation.
    """
    from cli.doctor.command import diagnose

    raise typer.Exit(diagnose(context.args, settings, every, as_json, home))


@app.command(hidden=True)
def demo(
    home: Annotated[Path, typer.Option(help="where everything is kept")] = Path("build/demo"),
    seed: Annotated[int, typer.Option(help="how the data is cut")] = 1,
    patience: Annotated[float, typer.Option(help="how many times longer an act may take: for a busy machine")] = 1.0,
    pubsub: Pubsub = None,
    storage: Storage = None,
    cloud_run: Annotated[bool, typer.Option("--cloud-run", help="train and serve on Cloud Run")] = False,
) -> None:
    """Play the demo."""
    from cli.demo.cloud import LocalCloud
    from cli.demo.play import ACTS, ends_when_told, play

    ends_when_told()
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "150"))
    local = LocalCloud(home, borrowing(pubsub, storage))
    raise typer.Exit(play(local, seed, ACTS, Console(width=width), patience, "cloud_run" if cloud_run else "vertex"))
