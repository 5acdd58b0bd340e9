"""`python -m local.functions --port N --data DIR --source functions`; functions inherit this process's environment."""

import argparse
import json
import os
from pathlib import Path

from local.functions.host import FRAMEWORK, Host
from local.processes import Processes
from local.service import ending, say_ready, serving


def main() -> None:
    """Runs until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.functions", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--metrics", type=Path, help="definitions of the metrics that /metrics makes from the logs")
    parser.add_argument("--runner", default=FRAMEWORK, help="the module that runs a function in a process of its own")
    given = parser.parse_args()
    ended = ending()
    processes = Processes(given.data)
    processes.end_leftovers()
    definitions = json.loads(given.metrics.read_text()) if given.metrics else []
    host = Host(given.source, dict(os.environ), processes, given.data / "logs", definitions, given.runner)
    with serving(host.app(), given.port) as port:
        say_ready("functions", port)
        ended.wait()
    host.stop()


if __name__ == "__main__":
    main()
