"""The process of one function in a soak: the framework and the real function, behind a door that may be its last.

`python -m local.functions --runner tests.e2e.soak_function` starts it in the place of functions-framework. Nothing that
is deployed knows of it: it puts its world around each request by `shared.environment.using`, as tests do, it is no part
of what a deployment uploads, and it refuses to run where the services are not this machine's own.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from shared.door import Door, open_door
from shared.environment import Cloud, GoogleCloud, loopback, read_environment, using
from tests.e2e.soak_points import Passage

T = TypeVar("T")
FOLDER = "SERIN_SOAK_POINTS"
"""The variable that names the folder of orders, hits and effects."""


class MortalDoor:
    """A door that writes down each effect, and right before or right after which the process may be ended."""

    def __init__(self, passage: Passage, die: Callable[[], None], inner: Door = open_door) -> None:
        self._passage = passage
        self._die = die
        self._inner = inner

    def __call__(self, effect: str, act: Callable[[], T]) -> T:
        if self._passage.is_fatal(effect, "before"):
            self._die()
        listed = 0
        try:
            answer = self._inner(effect, act)
            listed = len(answer) if isinstance(answer, list) else 0
        finally:
            self._passage.done(effect, listed)
        if self._passage.is_fatal(effect, "after"):
            self._die()
        return answer


def kill_nine() -> None:
    """Ends this process without a warning."""
    os.kill(os.getpid(), signal.SIGKILL)


def behind(app: Callable[..., Iterable[bytes]], world: Callable[[], Cloud]) -> Callable[..., Iterable[bytes]]:
    """A WSGI application whose every request finds this world in place of the environment's."""

    def answered(environ: Any, start_response: Any) -> Iterable[bytes]:
        with using(world()):
            return app(environ, start_response)

    return answered


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.soak_function", description=__doc__)
    for option in ("--source", "--target", "--host"):
        parser.add_argument(option, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    environment = read_environment(os.environ)
    if not loopback(environment.storage_endpoint or "") or FOLDER not in os.environ:
        sys.exit("a soak's functions run against this machine's own services only")

    from functions_framework import create_app
    from functions_framework._http import create_server

    _import_clients(Path(given.source).parent)

    @cache
    def world() -> Cloud:
        door = MortalDoor(Passage(Path(os.environ[FOLDER]), given.target), kill_nine)
        return GoogleCloud(environment, door)

    app = create_app(given.target, given.source, "cloudevent")
    app.wsgi_app = behind(app.wsgi_app, world)  # type: ignore[method-assign]
    create_server(app, False).run(given.host, given.port)


def _import_clients(function: Path) -> None:
    """What a worker would import at its first request: one that is forked anew after a death has it already."""
    from google.cloud import pubsub_v1, storage  # noqa: F401

    if "aiplatform" in (function / "requirements.in").read_text():
        from google.cloud import aiplatform_v1  # noqa: F401


if __name__ == "__main__":
    main()
