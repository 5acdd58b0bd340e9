"""`python -m local --home DIR`: the whole local cloud in the foreground, until Ctrl-C."""

import argparse
import sys
from pathlib import Path

from local.service import ending
from local.supervisor import installed, running


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; everything it started ends with it."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/local"))
    parser.add_argument("--tick-seconds", type=float, default=60.0)
    parser.add_argument("--ports", type=int, default=8680, help="the first port; 0 takes free ones")
    given = parser.parse_args()
    ended = ending()
    installation = installed(given.home, given.tick_seconds, given.ports)
    with running(installation):
        for name, value in installation.environment.items():
            sys.stdout.write(f"{name}={value}\n")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
