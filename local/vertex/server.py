"""The running service: one event loop on a thread of its own holds documents, processes and the REST wire."""

import asyncio
import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.containers import Containers, Image
from local.documents import Documents
from local.faults import Faults
from local.processes import Processes
from local.rest import RestApp
from local.service import Loop, living
from local.vertex.app import App
from local.vertex.artefacts import Artefacts
from local.vertex.batch_runs import BatchJobs
from local.vertex.endpoints import Endpoints
from local.vertex.job_runs import Jobs
from local.vertex.operations import FAILURE, Operations
from local.vertex.registry import Registry
from local.vertex.serving import Serving
from local.vertex.switches import Switches

_BACKLOG = 512
_CHILDREN_GRACE_SECONDS = 0.8


@dataclass(frozen=True)
class Server:
    """A running Vertex AI; `url` is what SERIN_VERTEX_ENDPOINT wants."""

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
    switches: Switches | None = None,
    run_data: Path | None = None,
) -> Iterator[Server]:
    """Runs Vertex AI on its data folder for as long as the block does; port 0 is a free one.

    What was deployed is served again, and what was under way goes on. `storage` is a URL, `pubsub` is HOST:PORT,
    `run_data` the folder of a local Cloud Run, whose jobs' logs are told too.
    Raises OSError when the port is taken.
    """
    listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    addresses = {
        "STORAGE_EMULATOR_HOST": storage,
        "PUBSUB_EMULATOR_HOST": pubsub,
        "SERIN_VERTEX_ENDPOINT": url,
        "GOOGLE_CLOUD_PROJECT": project,
    }
    service = _Service(folder, images, addresses, switches or Switches(), run_data)
    with living("vertex", listener, service.live):
        yield Server(url, port)


class _Service:
    def __init__(
        self,
        folder: Path,
        images: Mapping[str, Image],
        addresses: Mapping[str, str],
        switches: Switches,
        run_data: Path | None,
    ) -> None:
        self._run_data = run_data
        self._folder = folder
        self._switches = switches
        self._processes = Processes(folder)
        self._containers = Containers(images, addresses, self._processes, folder)
        self._artefacts = Artefacts(addresses["STORAGE_EMULATOR_HOST"], addresses["GOOGLE_CLOUD_PROJECT"])

    async def live(self, loop: Loop) -> None:
        """Goes on with what was under way, answers until it is asked to end, and leaves no process behind."""
        self._processes.end_leftovers()
        documents = Documents(self._folder)
        operations = Operations(documents, self._switches.durations)
        registry = Registry(documents, operations, self._containers, self._artefacts, self._switches)
        serving = Serving(self._containers)
        endpoints = Endpoints(documents, operations, registry, serving, self._switches, random.Random())
        jobs = Jobs(documents, self._containers, self._switches)
        batch_jobs = BatchJobs(documents, registry, self._containers, self._artefacts.storage, self._switches)
        app = App(jobs, batch_jobs, registry, endpoints, operations, self._run_data)
        for resuming in (endpoints, operations, jobs, batch_jobs):
            resuming.resume()
        try:
            await loop.answer(Faults(RestApp(app.answer), app.name_of, FAILURE))
        finally:
            for part in (jobs, batch_jobs, operations, serving):
                await part.stop()
            await asyncio.to_thread(self._processes.stop_all, None, _CHILDREN_GRACE_SECONDS)
            documents.close()
