"""How an HTTP service of the local cloud runs: on loopback, saying its port once ready, until it is asked to end."""

import asyncio
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop

_STOP_SECONDS = 1
_KEEP_ALIVE_SECONDS = 75


class Loop:
    """An event loop on a thread of its own that a service lives on, with one REST application."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._server: uvicorn.Server | None = None
        self.ready: Future[None] = Future()

    async def answer(self, app: Any) -> None:
        """Answers requests from now on, until the service is asked to end."""
        self._server = uvicorn.Server(_config(app))
        self.ready.set_result(None)
        await self._server.serve([self._listener])

    def run(self, live: Callable[["Loop"], Coroutine[Any, Any, None]]) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(live(self))
        except BaseException as error:
            if self.ready.done():
                raise
            self.ready.set_exception(error)

    def end(self) -> None:
        if self._server is not None:
            self._server.should_exit = True


@contextmanager
def living(name: str, listener: socket.socket, live: Callable[[Loop], Coroutine[Any, Any, None]]) -> Iterator[None]:
    """Has a service live for as long as the block does; what goes wrong before it answers is raised here.

    `live` is the service from start to end: it makes its parts, awaits `Loop.answer` and stops its parts.
    """
    loop = Loop(listener)
    thread = threading.Thread(target=loop.run, args=(live,), name=name, daemon=True)
    thread.start()
    try:
        loop.ready.result()
        yield
    finally:
        loop.end()
        thread.join()
        listener.close()


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_STOP_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )


@contextmanager
def serving(app: Any, port: int) -> Iterator[int]:
    """Serves an ASGI application for as long as the block runs; answers its port, 0 having meant a free one."""
    listener = socket.create_server(("127.0.0.1", port))
    # Whoever keeps this process waits a few seconds for its end: requests that take longer do not hold it up.
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", loop="asyncio",
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        listener.close()


def ending() -> threading.Event:
    """Set by SIGTERM and Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def say_ready(service: str, port: int) -> None:
    """The one line by which a service says that it is ready."""
    sys.stdout.write(json.dumps({"service": service, "port": port}) + "\n")
    sys.stdout.flush()
