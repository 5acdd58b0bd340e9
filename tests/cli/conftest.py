"""A local installation with storage and Pub/Sub alone, and a ledger that holds one run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.coldstart import services
from shared.environment import Cloud, GoogleCloud, read_environment


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("installation")
    before = dict(os.environ)
    with services(folder, ("pubsub", "storage")) as variables:
        installation = "".join(f"{name}={value}\n" for name, value in variables.items())
        (folder / "installation").write_text(installation)
        yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def cloud(home: Path) -> Cloud:
    lines = (home / "installation").read_text().splitlines()
    return GoogleCloud(read_environment(dict(line.split("=", 1) for line in lines)))
