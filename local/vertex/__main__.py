"""`python -m local.vertex --port N [--data DIR] [--images FILE] [--storage URL]`, alone or within the local cloud."""

import argparse
import sys
from pathlib import Path

from local.containers import images_of
from local.folder import data_folder
from local.service import ending, say_ready
from local.vertex.server import running
from local.vertex.switches import REALISTIC, Durations, switches_of


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; says its port once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.vertex", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, help="the folder that keeps everything; none: all ends with the process")
    parser.add_argument("--images", type=Path, help="what stands for each image on this machine, as JSON")
    parser.add_argument("--storage", default="http://127.0.0.1:9000", metavar="URL", help="where artefacts are")
    parser.add_argument("--pubsub", default="")
    parser.add_argument("--project", default="serin-local")
    parser.add_argument("--run-data", type=Path, help="the folder of a local Cloud Run, whose jobs' logs are told too")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="see local/vertex/switches.py"
    )
    parser.add_argument("--realistic-durations", action="store_true", help="as slow as Google Cloud")
    given = parser.parse_args()
    try:
        switches = switches_of(given.switch, REALISTIC if given.realistic_durations else Durations())
    except ValueError as error:
        sys.exit(f"local.vertex: {error}")
    ended = ending()
    with (
        data_folder(given.data) as folder,
        running(
            folder,
            images_of(given.images),
            given.storage,
            given.pubsub,
            given.project,
            given.port,
            switches,
            given.run_data,
        ) as server,
    ):
        say_ready("vertex", server.port)
        ended.wait()


if __name__ == "__main__":
    main()
