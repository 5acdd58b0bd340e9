"""One local Cloud Run for a whole session, asked by Serin's own door through Google's client."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from local import run
from local.containers import Image
from shared.door import open_door
from shared.environment import read_environment
from shared.run_jobs import CloudRunJobs
from shared.run_services import CloudRunServices
from shared.serving import Operation
from shared.vertex import VersionOrder
from tests.local.vertex.clients import until
from tests.world.cloud import START, VARIABLES
from tests.world.vertex import MemoryVertex

CONTAINER = Path(__file__).parent / "containers" / "served.py"
SAYS = 'echo "$CLOUD_RUN_JOB attempt $CLOUD_RUN_TASK_ATTEMPT"; eval "$ORDER"'
IMAGES = {
    "served": Image((sys.executable, str(CONTAINER))),
    "script": Image(("/bin/sh", "-c", SAYS)),
}


@dataclass
class Registry(MemoryVertex):
    """A registry that knows what a test has uploaded."""

    recipes: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def recipe(self, version: str) -> VersionOrder:
        return VersionOrder("digits", "served", "gs://artefacts/digits/", {}, self.recipes.get(version, {}))


@dataclass(frozen=True)
class Google:
    """The doors to one running Cloud Run."""

    url: str
    services: CloudRunServices
    jobs: CloudRunJobs
    registry: Registry
    folder: Path

    def finished(self, operation: Operation) -> Operation:
        return until(lambda: (now := self.services.operation(operation.name)).done and now)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    folder = tmp_path_factory.mktemp("run")
    with run.running(folder, IMAGES, "http://127.0.0.1:1", idle_seconds=1.0) as server:
        yield doors(server.url, folder)


@pytest.fixture(autouse=True)
def known_by_the_metadata_server(google: Google) -> Iterator[None]:
    with metadata_at(google.url):
        yield


class metadata_at:
    """For the length of a block this Cloud Run is where identity tokens come from."""

    def __init__(self, url: str) -> None:
        self._host = url.removeprefix("http://")

    def __enter__(self) -> None:
        self._before = dict(os.environ)
        os.environ["GCE_METADATA_HOST"] = self._host

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)


def doors(url: str, folder: Path) -> Google:
    environment = replace(read_environment(VARIABLES), run_endpoint=url)
    registry = Registry(lambda: START, open_door)
    services = CloudRunServices(environment, open_door, registry)
    return Google(url, services, CloudRunJobs(environment, open_door), registry, folder)
