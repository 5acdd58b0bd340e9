"""The running service: broker, both wires and push in one event loop, on one loopback port."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from threading import Thread

import grpc.aio

from local.pubsub.broker import Broker
from local.pubsub.faults import NO_FAULTS, Faults
from local.pubsub.http_server import HttpConnection
from local.pubsub.oidc import Signer
from local.pubsub.port import Doorkeeper
from local.pubsub.push import Pusher
from local.pubsub.settings import DEFAULT_ACK_SECONDS
from local.pubsub.wire_grpc import Handlers
from local.pubsub.wire_rest import Rest

_GRACE_SECONDS = 0.5
_BACKLOG = 512
_OPTIONS = [
    # Room above the limit of a publish, so that too much is refused by name and not by the transport.
    ("grpc.max_receive_message_length", 20 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
    # The official subscriber pings every 30 s; gRPC's default takes that for an attack after a few minutes.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
]


@asynccontextmanager
async def serving(
    folder: Path,
    port: int = 0,
    *,
    clock: Callable[[], float] = time.time,
    least_ack_seconds: int = DEFAULT_ACK_SECONDS,
    faults: Faults = NO_FAULTS,
) -> AsyncIterator[int]:
    """Serves on this event loop for as long as the block does; gives the port."""
    async with AsyncExitStack() as stack:
        broker = Broker(folder, clock, least_ack_seconds)
        stack.callback(broker.close)
        signer = Signer(folder, clock)
        rest = Rest(broker, signer)
        socket = _grpc_socket(folder)
        listener = await asyncio.get_running_loop().create_server(
            lambda: Doorkeeper(lambda: HttpConnection(rest.answer), socket), "127.0.0.1", port, backlog=_BACKLOG
        )
        stack.callback(listener.close)
        pusher = Pusher(broker, signer, faults)
        stack.callback(pusher.close)
        await stack.enter_async_context(_grpc(broker, socket))
        yield int(listener.sockets[0].getsockname()[1])


@asynccontextmanager
async def _grpc(broker: Broker, socket: str) -> AsyncIterator[None]:
    handlers = Handlers(broker)
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers([handlers])
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        handlers.end_streams()
        await server.stop(_GRACE_SECONDS)


def _grpc_socket(folder: Path) -> str:
    """Where the doorkeeper finds gRPC: a path of its own for each data folder, short as the system wants it."""
    return f"{gettempdir()}/serin-pubsub-{sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.sock"


@dataclass(frozen=True)
class Server:
    """A running Pub/Sub; `host` is what PUBSUB_EMULATOR_HOST wants, `url` what gcloud wants."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}/"


@contextmanager
def running(
    folder: Path,
    port: int = 0,
    *,
    clock: Callable[[], float] = time.time,
    least_ack_seconds: int = DEFAULT_ACK_SECONDS,
    faults: Faults = NO_FAULTS,
) -> Iterator[Server]:
    """Serves from a thread of its own for as long as the block does; port 0 is a free one.

    `least_ack_seconds` is Google's 10 unless a test wants to see leases end sooner. Raises what kept it from starting.
    """
    started: Future[tuple[int, Callable[[], None]]] = Future()

    async def serve() -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        async with serving(folder, port, clock=clock, least_ack_seconds=least_ack_seconds, faults=faults) as bound:
            started.set_result((bound, lambda: _set(loop, ended)))
            await ended.wait()

    thread = Thread(target=lambda: _run(serve(), started), name="pubsub", daemon=True)
    thread.start()
    bound, end = started.result()
    try:
        yield Server(f"127.0.0.1:{bound}", bound)
    finally:
        end()
        thread.join()


def _set(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    loop.call_soon_threadsafe(ended.set)


def _run(serving: Coroutine[None, None, None], started: "Future[tuple[int, Callable[[], None]]]") -> None:
    try:
        asyncio.run(serving)
    except BaseException as failure:
        if started.done():
            raise
        started.set_exception(failure)
