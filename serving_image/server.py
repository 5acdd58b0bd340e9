"""One process's life: listen, load, answer, and stop without losing a request that was accepted.

listen ─► load ─► healthy ──────► told to stop ─► unhealthy, each answer the connection's last
          (503 meanwhile)                          │ a moment in which whoever is on the way is still let in
                                                   ▼
                              listen no more ─► what was begun is answered ─► end
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import Any

from serving_image.account import Account
from serving_image.configuration import Configuration
from serving_image.connection import Connection, Server
from serving_image.service import Loaded, Service

LINGER_SECONDS = 0.25
"""Between the order to stop and the end of listening: who was sent here before the platform knew is let in."""
DRAIN_SECONDS = 4.0
"""For what was begun, of the ten seconds that a platform gives a container to stop in; the rest is for the evidence."""
_TICK_SECONDS = 1.0
_LOOK_SECONDS = 0.01
_BACKLOG = 2_048


async def serve(
    configuration: Configuration, load: Callable[[], Loaded], opened: Callable[[], None] = lambda: None
) -> Loaded | None:
    """Answers requests until it is told to stop, and then until everything accepted is answered; says with what.

    `load` runs beside the loop, so that the port is open while it takes its time; what it raises ends the process.
    `opened` is called once it is healthy.
    """
    loop = asyncio.get_running_loop()
    limits = configuration.limits
    service = Service(configuration.routes, limits, loop.call_soon)
    server = Server(service, limits.body_bytes, limits.connections, time.monotonic)
    server.date = _date()
    stop = asyncio.Event()
    with _signals(loop, stop.set):
        listener = await loop.create_server(
            lambda: Connection(server), configuration.host, configuration.port, backlog=_BACKLOG
        )
        loaded = await _unless(stop, loop.run_in_executor(None, load))
        if loaded is not None:
            service.open(loaded)
            opened()
            await _tick_until(stop, server, loaded.account, limits.timeout_seconds)
        await _stop(service, server, listener)
    return loaded


async def _tick_until(stop: asyncio.Event, server: Server, account: Account, timeout_seconds: float) -> None:
    while not stop.is_set():
        server.date = _date()
        if account.seconds_left <= 0:
            account.turn()
        server.expire(timeout_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, min(_TICK_SECONDS, account.seconds_left)))


async def _stop(service: Service, server: Server, listener: asyncio.Server) -> None:
    service.stop()
    server.stopping = True
    await asyncio.sleep(LINGER_SECONDS)
    listener.close()
    deadline = server.clock() + DRAIN_SECONDS
    while server.connections and server.clock() < deadline:
        # Reading comes before this in every turn of the loop: what an idle connection has sent by now is not idle.
        for connection in [each for each in server.connections if each.idle]:
            connection.close()
        await asyncio.sleep(_LOOK_SECONDS)
    for connection in list(server.connections):
        connection.close()
    await asyncio.sleep(0)


async def _unless(stop: asyncio.Event, loading: "asyncio.Future[Loaded]") -> Loaded | None:
    """What was loaded, or None when it was told to stop before that."""
    stopped = asyncio.ensure_future(stop.wait())
    both: set[asyncio.Future[Any]] = {stopped, loading}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return loading.result() if loading.done() else None


@contextmanager
def _signals(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _date() -> bytes:
    return formatdate(usegmt=True).encode()
