"""`python -m local.pubsub --port N --data DIR`."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from local.pubsub.server import running


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; says its port once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.pubsub", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with running(arguments.data, arguments.port) as server:
        sys.stdout.write(json.dumps({"service": "pubsub", "port": server.port}) + "\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
