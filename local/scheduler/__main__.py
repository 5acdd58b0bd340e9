"""`python -m local.scheduler --port N --data DIR --pubsub HOST:PORT`, on its own or as the supervisor runs it.

`--topic projects/P/topics/T` is for who wants a tick and nothing else: a job that runs every minute and says `{}`.
"""

import argparse
import base64
from pathlib import Path

from local.folder import data_folder
from local.scheduler.jobs import created, timestamp
from local.scheduler.server import MINUTE_SECONDS, running
from local.scheduler.store import Store
from local.service import ending, say_ready

_LOCATION = "us-central1"


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.scheduler", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--data", type=Path, help="the folder that keeps everything; none: all ends with the process")
    parser.add_argument("--pubsub", required=True, metavar="HOST:PORT")
    parser.add_argument("--topic", metavar="projects/P/topics/T", help="where a tick goes every minute")
    parser.add_argument("--seconds", type=float, default=MINUTE_SECONDS, help="how long cron's minute is")
    given = parser.parse_args()
    ended = ending()
    with data_folder(given.data) as folder:
        if given.topic:
            _keep_clock(Store(folder), given.topic)
        with running(folder, given.pubsub, given.port, given.seconds) as server:
            say_ready("scheduler", server.port)
            ended.wait()


def _keep_clock(store: Store, topic: str) -> None:
    """The job that ticks every minute, unless it is there."""
    project = topic.split("/")[1]
    name = f"projects/{project}/locations/{_LOCATION}/jobs/clock"
    target = {"topicName": topic, "data": base64.b64encode(b"{}").decode()}
    if store.find(name) is None:
        store.put(created({"schedule": "* * * * *", "pubsubTarget": target}, name, timestamp(0)))


if __name__ == "__main__":
    main()
