"""The running service: documents, processes and REST wire on one loopback port."""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from local.processes import Processes
from local.vertex.app import Wire
from local.vertex.containers import Containers, Image
from local.vertex.documents import Documents
from local.vertex.endpoints import Endpoints
from local.vertex.jobs import Jobs
from local.vertex.operations import Operations
from local.vertex.registry import Copy, Registry
from local.vertex.serving import Serving

ARTEFACTS_BUCKET = "serin-local-vertex"


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
) -> Iterator[Server]:
    """Runs Vertex AI on its data folder for as long as the block does; port 0 is a free one."""
    listener = socket.create_server(("127.0.0.1", port))
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    addresses = {
        "STORAGE_EMULATOR_HOST": storage,
        "PUBSUB_EMULATOR_HOST": pubsub,
        "SERIN_VERTEX_ENDPOINT": url,
        "GOOGLE_CLOUD_PROJECT": project,
    }
    processes = Processes(folder)
    processes.end_leftovers()
    containers = Containers(images, addresses, processes, folder / "logs")
    documents = Documents(folder)
    operations = Operations(documents)
    operations.register("nothing", lambda _: {}, "DeleteOperationMetadata", "DeleteOperationMetadata")
    registry = Registry(documents, operations, containers, _copier(storage, project))
    serving = Serving(containers)
    endpoints = Endpoints(documents, operations, registry, serving)
    jobs = Jobs(documents, containers)
    endpoints.resume()
    serving.start()
    operations.resume()
    jobs.resume()
    config = uvicorn.Config(
        Wire(jobs, registry, endpoints, operations).app(),
        log_level="warning",
        access_log=False,
        lifespan="on",
        loop="asyncio",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield Server(url, port)
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        jobs.stop()
        operations.stop()
        serving.stop()
        documents.close()
        listener.close()


def _copier(storage: str, project: str) -> Copy:
    """Copies the objects below an address into a bucket of our own, as Vertex AI copies artefacts at upload."""

    def copied(source: str, name: str) -> str:
        os.environ["STORAGE_EMULATOR_HOST"] = storage
        from google.api_core.exceptions import Conflict
        from google.cloud import storage as client_library

        client = client_library.Client(project=project)
        bucket_name, _, prefix = source.removeprefix("gs://").partition("/")
        own = client.bucket(ARTEFACTS_BUCKET)
        with suppress(Conflict):
            client.create_bucket(own)
        found = client.bucket(bucket_name)
        for blob in client.list_blobs(found, prefix=f"{prefix.rstrip('/')}/"):
            found.copy_blob(blob, own, f"models/{name}/{blob.name.removeprefix(prefix).lstrip('/')}")
        return f"gs://{ARTEFACTS_BUCKET}/models/{name}"

    return copied
