"""One storage server for all tests, emptied after each; Google's client, and raw HTTP for what that cannot say."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local.storage import Server, running

PROJECTS = ("serin-local", "another")


def _client_of(url: str) -> Any:
    anonymous: Any = AnonymousCredentials
    return storage.Client(project=PROJECTS[0], credentials=anonymous(), client_options={"api_endpoint": url})


def _empty(client: Any) -> None:
    for project in PROJECTS:
        for bucket in client.list_buckets(project=project):
            for blob in bucket.list_blobs(versions=True):
                bucket.blob(blob.name, generation=blob.generation).delete()
            bucket.delete()


@pytest.fixture(scope="session")
def server_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("storage") / "data") as server:
        yield server


@pytest.fixture
def server(server_of_all_tests: Server, connect: Callable[[str], Any]) -> Iterator[Server]:
    yield server_of_all_tests
    _empty(connect(server_of_all_tests.url))


@pytest.fixture(scope="session")
def connect() -> Iterator[Callable[[str], Any]]:
    """Google's client for the server at a URL, one per URL, closed at the end."""
    clients: dict[str, Any] = {}
    with ExitStack() as stack:

        def connected(url: str) -> Any:
            if url not in clients:
                clients[url] = _client_of(url)
                stack.callback(clients[url].close)
            return clients[url]

        yield connected


@pytest.fixture
def client(server: Server, connect: Callable[[str], Any]) -> Any:
    return connect(server.url)


@pytest.fixture
def bucket(client: Any) -> Any:
    return client.create_bucket("state")


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    # Nothing here speaks TLS, and loading the certificates would take longer than most of these tests.
    with httpx.Client(base_url=server.url, verify=False) as http:
        yield http


@pytest.fixture
def anywhere() -> Iterator[httpx.Client]:
    """Raw HTTP to servers of the test's own."""
    with httpx.Client(verify=False) as http:
        yield http


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a server of the test's own keeps its data."""
    return tmp_path / "storage"
