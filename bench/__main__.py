"""`python -m bench [SUBJECT…]`: measures every subject, or those named."""

import argparse
import importlib
import sys
import time

from rich.console import Console

from bench.report import tell

SUBJECTS = ("coldstart", "operations", "latency", "local", "intake", "serving", "judge", "drift")


def main() -> int:
    """Exit status 0 when every target was met, 1 when one was not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}")
    wanted = parser.parse_args().subjects or SUBJECTS
    if unknown := sorted(set(wanted) - set(SUBJECTS)):
        parser.error(f"there is no subject {', '.join(unknown)}")
    console, missed = Console(width=None if sys.stdout.isatty() else 150), 0
    for subject in wanted:
        begun = time.monotonic()
        with console.status(f"measuring {subject}"):
            rows = importlib.import_module(f"bench.{subject}").measured()
        tell(subject, rows, console)
        console.print(f"{subject}: {time.monotonic() - begun:.0f} s\n", highlight=False)
        missed += sum(row.met is False for row in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
