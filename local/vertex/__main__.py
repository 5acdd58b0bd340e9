"""`python -m local.vertex --port N --data DIR --images FILE --storage URL --pubsub HOST:PORT`."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from local.vertex.containers import Image
from local.vertex.server import running


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; says its port once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.vertex", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--storage", required=True)
    parser.add_argument("--pubsub", default="")
    parser.add_argument("--project", default="serin-local")
    given = parser.parse_args()
    images = {name: Image.from_json(image) for name, image in json.loads(given.images.read_text()).items()}
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with running(given.data, images, given.storage, given.pubsub, given.project, given.port) as server:
        sys.stdout.write(json.dumps({"service": "vertex", "port": server.port}) + "\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
