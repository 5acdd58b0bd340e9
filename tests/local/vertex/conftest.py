"""One local Vertex AI for a whole session; the tests keep apart by the names that they use."""

from collections.abc import Iterator

import httpx
import pytest

from local import storage, vertex
from tests.local.vertex.clients import IMAGES, Clients


@pytest.fixture(scope="session")
def artefact_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with storage.running(tmp_path_factory.mktemp("storage")) as server:
        httpx.post(f"{server.url}/storage/v1/b?project=p", json={"name": "artefacts"}).raise_for_status()
        for name in ("digits/model/model.onnx", "digits/model/signature.json"):
            upload = f"{server.url}/upload/storage/v1/b/artefacts/o"
            params = {"uploadType": "media", "name": name}
            httpx.post(upload, params=params, content=f"the {name}").raise_for_status()
        yield server.url


@pytest.fixture(scope="session")
def google(artefact_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    with vertex.running(tmp_path_factory.mktemp("vertex"), IMAGES, artefact_store, "127.0.0.1:1") as server:
        clients = Clients(server.url)
        yield clients
        clients.close()
