"""The running service: state, gRPC wire and push, on one loopback port."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from local.pubsub.push import Pusher
from local.pubsub.service import handlers
from local.pubsub.state import State

_THREADS = 128  # every streaming pull holds one for as long as it lasts
_GRACE_SECONDS = 0.5
_MAX_MESSAGE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True)
class Server:
    """A running Pub/Sub; `host` is what PUBSUB_EMULATOR_HOST wants."""

    host: str
    port: int


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[Server]:
    """Runs Pub/Sub on its data folder for as long as the block does; port 0 is a free one."""
    state = State(folder)
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
    server.add_generic_rpc_handlers(handlers(state))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    pusher = Pusher(state)
    server.start()
    pusher.start()
    try:
        yield Server(f"127.0.0.1:{bound}", bound)
    finally:
        server.stop(_GRACE_SECONDS).wait()
        pusher.stop()
        state.close()
