"""`python -m local --home DIR`: the whole local cloud in the foreground, until Ctrl-C."""

import argparse
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from local.service import ending
from local.supervisor import Borrowed, Installation, PortTaken, installed, running

_LOOK_SECONDS = 0.3


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; everything it started ends with it."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/local"))
    parser.add_argument("--tick-seconds", type=float, default=60.0)
    parser.add_argument("--ports", type=int, default=8680, help="the first port; 0 takes free ones")
    parser.add_argument("--pubsub", metavar="HOST:PORT", help="a running Pub/Sub instead of ours: Google's emulator")
    parser.add_argument("--storage", metavar="URL", help="a running Cloud Storage that notifies nobody instead of ours")
    parser.add_argument(
        "--trainer", action="append", default=[], type=_trainer, metavar="NAME=FOLDER", help="an image that is a folder"
    )
    given = parser.parse_args()
    try:
        borrowed = Borrowed(given.pubsub, given.storage)
    except ValueError as error:
        parser.error(str(error))
    ended = ending()
    installation = installed(given.home, given.tick_seconds, given.ports, borrowed, dict(given.trainer))
    try:
        with running(installation):
            _tell(installation, ended)
    except PortTaken as taken:
        sys.exit(str(taken))


def _tell(installation: Installation, ended: threading.Event) -> None:
    for name, value in installation.environment.items():
        sys.stdout.write(f"{name}={value}\n")
    sys.stdout.write("ready; what people are told follows, Ctrl-C ends everything\n")
    sys.stdout.flush()
    for told in _added(installation.notices, ended):
        sys.stdout.write(told)
        sys.stdout.flush()


def _trainer(said: str) -> tuple[str, Path]:
    name, _, folder = said.rpartition("=")
    if not name or not (Path(folder) / "main.py").is_file():
        raise argparse.ArgumentTypeError(f"{said!r} is not NAME=FOLDER with a main.py in the folder")
    return name, Path(folder).resolve()


def _added(path: Path, ended: threading.Event) -> Iterator[str]:
    """What is added to a file from now on, until it is over."""
    path.touch()
    with path.open(encoding="utf-8") as file:
        file.seek(0, os.SEEK_END)
        while not ended.wait(_LOOK_SECONDS):
            if told := file.read():
                yield told


if __name__ == "__main__":
    main()
