"""Cloud Storage as a server on a thread of its own, for the command line and for tests alike."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import uvicorn

from local.faults import Faults
from local.storage.app import App
from local.storage.database import Clock, system_clock
from local.storage.delivery import Delivery, GrpcPublisher
from local.storage.methods import method_name
from local.storage.service import open_service

_BACKLOG = 512
_STOP_SECONDS = 1


class Server:
    """A running local Cloud Storage; `stop` answers what is under way, for at most a second, and frees the folder."""

    def __init__(
        self,
        folder: Path,
        pubsub: str | None = None,
        port: int = 0,
        clock: Clock = system_clock,
        limits_writes: bool = False,
    ) -> None:
        """Serves 127.0.0.1:`port` (0: a free one) once constructed. OSError: port taken; FolderInUse: folder taken.

        `pubsub` is HOST:PORT of the Pub/Sub that notifications go to; without one they wait in the outbox.
        With `limits_writes` an object takes one write per second, as on Google Cloud.
        """
        self._socket = _listening(port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            app = _app(folder, self.url, pubsub, clock, limits_writes)
        except BaseException:
            self._socket.close()
            raise
        self._server = uvicorn.Server(_config(app))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="storage")
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError:
        listening.close()
        raise
    # From here on a client that connects waits instead of being refused, so the server may be announced.
    listening.listen(_BACKLOG)
    return listening


def _app(folder: Path, url: str, pubsub: str | None, clock: Clock, limits_writes: bool) -> Faults:
    deliveries: list[Delivery] = []

    def committed(topics: set[str]) -> None:
        for delivery in deliveries:
            delivery.wake(topics)

    service = open_service(folder, url, clock, committed, limits_writes)
    if pubsub is None:
        return _scriptable(App(service, None))
    deliveries.append(Delivery(service.outbox, GrpcPublisher(pubsub), clock))
    return _scriptable(App(service, deliveries[0]))


def _scriptable(app: App) -> Faults:
    return Faults(app, method_name, with_reasons=True)


def _config(app: Faults) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        timeout_keep_alive=600,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


@contextmanager
def running(
    folder: Path,
    pubsub: str | None = None,
    port: int = 0,
    clock: Clock = system_clock,
    limits_writes: bool = False,
) -> Iterator[Server]:
    """A server for the length of a `with` block; it may be stopped earlier."""
    with Server(folder, pubsub, port, clock, limits_writes) as server:
        yield server
