"""`python -m local.run --port N [--data DIR] [--images FILE] [--storage URL]`, alone or within the local cloud."""

import argparse
from pathlib import Path

from local.containers import images_of
from local.folder import data_folder
from local.run.server import IDLE_SECONDS, running
from local.service import ending, say_ready


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; says its port once it is ready."""
    parser = argparse.ArgumentParser(prog="python -m local.run", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, help="the folder that keeps everything; none: all ends with the process")
    parser.add_argument("--images", type=Path, help="what stands for each image on this machine, as JSON")
    parser.add_argument("--storage", default="http://127.0.0.1:9000", metavar="URL", help="where artefacts are")
    parser.add_argument("--pubsub", default="")
    parser.add_argument("--project", default="serin-local")
    parser.add_argument(
        "--idle-seconds", type=float, default=IDLE_SECONDS, help="an instance nobody asks lives so long"
    )
    given = parser.parse_args()
    ended = ending()
    with (
        data_folder(given.data) as folder,
        running(
            folder, images_of(given.images), given.storage, given.pubsub, given.project, given.port, given.idle_seconds
        ) as server,
    ):
        say_ready("run", server.port)
        ended.wait()


if __name__ == "__main__":
    main()
