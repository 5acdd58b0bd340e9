"""The running service: one event loop holds documents, processes, the Admin API and the way to what is served."""

import asyncio
import random
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.containers import Containers, Image
from local.documents import Documents
from local.faults import Faults
from local.processes import Processes
from local.pubsub.oidc import Signer
from local.rest import RestApp
from local.run.app import App
from local.run.jobs import Jobs
from local.run.metadata import Callers
from local.run.operations import Operations
from local.run.routing import Router
from local.run.services import Services
from local.service import Loop, living

_BACKLOG = 512
_CHILDREN_GRACE_SECONDS = 0.8
IDLE_SECONDS = 900.0  # as long as Cloud Run keeps an idle instance, at most


@dataclass(frozen=True)
class Server:
    """A running Cloud Run; `url` is what SERIN_RUN_ENDPOINT wants, without its scheme what GCE_METADATA_HOST does."""

    url: str
    port: int


@contextmanager
def running(
    folder: Path,
    images: Mapping[str, Image],
    storage: str,
    pubsub: str = "",
    project: str = "serin-local",
    port: int = 0,
    idle_seconds: float = IDLE_SECONDS,
) -> Iterator[Server]:
    """Runs Cloud Run on its data folder for as long as the block does; port 0 is a free one.

    `storage` is a URL, `pubsub` is HOST:PORT. Raises OSError when the port is taken.
    """
    listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    addresses = {
        "STORAGE_EMULATOR_HOST": storage,
        "PUBSUB_EMULATOR_HOST": pubsub,
        "SERIN_RUN_ENDPOINT": url,
        "GOOGLE_CLOUD_PROJECT": project,
    }
    service = _Service(folder, images, addresses, idle_seconds)
    with living("run", listener, service.live):
        yield Server(url, port)


class _Service:
    def __init__(
        self, folder: Path, images: Mapping[str, Image], addresses: Mapping[str, str], idle_seconds: float
    ) -> None:
        self._folder = folder
        self._address = addresses["SERIN_RUN_ENDPOINT"]
        self._idle_seconds = idle_seconds
        self._processes = Processes(folder)
        self._containers = Containers(images, addresses, self._processes, folder)

    async def live(self, loop: Loop) -> None:
        """Goes on with what was under way, answers until it is asked to end, and leaves no process behind."""
        self._processes.end_leftovers()
        documents = Documents(self._folder)
        operations = Operations(documents)
        services = Services(documents, operations, self._containers, self._address, self._idle_seconds)
        jobs = Jobs(documents, operations, self._containers)
        callers = Callers(Signer(self._folder, time.time))
        router = Router(services, callers, self._address, random.Random())
        app = App(services, jobs, operations, router, callers)
        services.resume()
        jobs.resume()
        try:
            await loop.answer(Faults(RestApp(app.answer), app.name_of))
        finally:
            for part in (jobs, services):
                await part.stop()
            await asyncio.to_thread(self._processes.stop_all, None, _CHILDREN_GRACE_SECONDS)
            documents.close()
