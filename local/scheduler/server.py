"""The running service: one event loop on a thread of its own holds the jobs, their runs and the REST wire."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.faults import Faults
from local.rest import RestApp
from local.scheduler.app import App
from local.scheduler.beat import Beat
from local.scheduler.minutes import Minutes
from local.scheduler.publishing import Publisher, PubsubPublisher
from local.scheduler.store import Store
from local.service import Loop, living

MINUTE_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A running Cloud Scheduler."""

    url: str
    port: int


@contextmanager
def running(
    folder: Path,
    pubsub: str,
    port: int = 0,
    minute_seconds: float = MINUTE_SECONDS,
    publisher: Publisher | None = None,
) -> Iterator[Server]:
    """Runs Cloud Scheduler on its data folder for as long as the block does; port 0 is a free one.

    `pubsub` is HOST:PORT; `minute_seconds` shortens cron's minute. Raises OSError when the port is taken.
    """
    listener = socket.create_server(("127.0.0.1", port))
    port = listener.getsockname()[1]
    publishing = publisher or PubsubPublisher(pubsub)
    with living("scheduler", listener, lambda loop: _live(loop, folder, minute_seconds, publishing)):
        yield Server(f"http://127.0.0.1:{port}", port)


async def _live(loop: Loop, folder: Path, minute_seconds: float, publisher: Publisher) -> None:
    store, minutes = Store(folder), Minutes(time.time(), minute_seconds)
    beat = Beat(store, minutes, publisher)
    app = App(store, minutes, beat)
    going = asyncio.create_task(beat.go_on())
    try:
        await loop.answer(Faults(RestApp(app.answer), app.name_of))
    finally:
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going
        publisher.close()
