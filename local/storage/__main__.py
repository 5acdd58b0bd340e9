"""`python -m local.storage --port N [--data DIR] [--pubsub HOST:PORT]`: ready once it says so, until SIGTERM."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from local.folder import data_folder
from local.storage.server import Server
from local.storage.service import FolderInUse


def main() -> None:
    arguments = _parser().parse_args()
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    # gRPC tells every lost connection on stderr; delivery repeats by itself, so nobody needs to read that.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Blocked before the server's threads begin, so that only the wait below receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    try:
        with data_folder(arguments.data) as folder:
            _serve(folder, arguments, stop_signals)
    except (OSError, FolderInUse) as error:
        sys.exit(f"local.storage: {error}")


def _serve(folder: Path, arguments: argparse.Namespace, stop_signals: set[signal.Signals]) -> None:
    with Server(folder, arguments.pubsub, arguments.port, limits_writes=arguments.limit_writes) as server:
        sys.stdout.write(json.dumps({"service": "storage", "port": server.port}) + "\n")
        sys.stdout.flush()
        signal.sigwait(stop_signals)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.storage", description="Cloud Storage on this machine.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--data", type=Path, help="the folder that keeps everything; none: all ends with the process")
    parser.add_argument("--pubsub", metavar="HOST:PORT", help="where notifications are published")
    parser.add_argument("--limit-writes", action="store_true", help="one write per second to an object, then 429")
    return parser


if __name__ == "__main__":
    main()
