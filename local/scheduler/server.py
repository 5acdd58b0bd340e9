"""The running service: one event loop on a thread of its own holds the jobs, their runs and the REST wire."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from local.faults import Faults
from local.rest import RestApp
from local.scheduler.app import App
from local.scheduler.beat import Beat
from local.scheduler.minutes import Minutes
from local.scheduler.publishing import Publisher, PubsubPublisher
from local.scheduler.store import Store

_STOP_SECONDS = 1
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
    service = _Service(folder, minute_seconds, publisher or PubsubPublisher(pubsub))
    thread = threading.Thread(target=service.run, args=(listener,), name="scheduler", daemon=True)
    thread.start()
    try:
        service.ready.result()
        yield Server(f"http://127.0.0.1:{port}", port)
    finally:
        service.end()
        thread.join()
        listener.close()


class _Service:
    def __init__(self, folder: Path, minute_seconds: float, publisher: Publisher) -> None:
        self._folder = folder
        self._minutes = Minutes(time.time(), minute_seconds)
        self._publisher = publisher
        self._server: uvicorn.Server | None = None
        self.ready: Future[None] = Future()

    def run(self, listener: socket.socket) -> None:
        """The service from start to end; what goes wrong before it is ready is raised by `ready`."""
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:
            if self.ready.done():
                raise
            self.ready.set_exception(error)

    def end(self) -> None:
        if self._server is not None:
            self._server.should_exit = True

    async def _serve(self, listener: socket.socket) -> None:
        store = Store(self._folder)
        beat = Beat(store, self._minutes, self._publisher)
        app = App(store, self._minutes, beat)
        self._server = uvicorn.Server(_config(Faults(RestApp(app.answer), app.name_of)))
        going = asyncio.create_task(beat.go_on())
        self.ready.set_result(None)
        try:
            await self._server.serve([listener])
        finally:
            going.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await going
            self._publisher.close()


def _config(app: Faults) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=_STOP_SECONDS
    )
