"""`python -m local.vertex --port N --data DIR --images FILE --storage URL`, on its own or as the supervisor runs it."""

import argparse
import json
import sys
from pathlib import Path

from local.service import ending, say_ready
from local.vertex.containers import Image
from local.vertex.server import running
from local.vertex.switches import REALISTIC, Durations, switches_of


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; says its port once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.vertex", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--storage", required=True)
    parser.add_argument("--pubsub", default="")
    parser.add_argument("--project", default="serin-local")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="see local/vertex/switches.py"
    )
    parser.add_argument("--realistic-durations", action="store_true", help="as slow as Google Cloud")
    given = parser.parse_args()
    try:
        switches = switches_of(given.switch, REALISTIC if given.realistic_durations else Durations())
    except ValueError as error:
        sys.exit(f"local.vertex: {error}")
    images = {name: Image.from_json(image) for name, image in json.loads(given.images.read_text()).items()}
    ended = ending()
    with running(given.data, images, given.storage, given.pubsub, given.project, given.port, switches) as server:
        say_ready("vertex", server.port)
        ended.wait()


if __name__ == "__main__":
    main()
