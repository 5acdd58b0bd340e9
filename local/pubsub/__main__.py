"""`python -m local.pubsub --port N [--data DIR]`."""

import argparse
import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

from local.folder import data_folder
from local.pubsub.lean import import_types_only


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; says its port once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.pubsub", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, help="the folder that keeps everything; none: all ends with the process")
    parser.add_argument("--faults", default="", help="duplicates=0.2,reorderings=0.2,seconds=2: for tests")
    arguments = parser.parse_args()
    import_types_only()
    try:
        with data_folder(arguments.data) as folder:
            asyncio.run(_serve(folder, arguments.port, arguments.faults))
    except (OSError, ValueError, sqlite3.Error) as error:  # the port or the data folder is taken, or no such faults
        sys.exit(f"pubsub: {error}")


async def _serve(folder: Path, port: int, faults: str) -> None:
    from local.pubsub.faults import faults_of
    from local.pubsub.server import serving  # after import_types_only

    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(folder, port, faults=faults_of(faults, folder)) as bound:
        sys.stdout.write(json.dumps({"service": "pubsub", "port": bound}) + "\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    main()
