"""The story begins as told on somebody else's services: Google's Pub/Sub emulator, and a store that notifies nobody.

Two things are then Serin's own to do: a function acknowledges what its filter would have kept from it, and reconcile
finds the uploads that nobody announced. The whole story there is `serin demo --pubsub HOST:PORT --storage URL`.
"""

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from cli.connection import borrowing
from cli.demo.cloud import LocalCloud
from cli.demo.play import played, staged
from local import storage
from tests.local.pubsub.emulator import emulator_jar, running_emulator

PATIENCE = 10.0
pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]  # the clients' own threads warn


@pytest.fixture
def borrowed(tmp_path: Path) -> Iterator[list[str]]:
    """The options that name Google's emulator, where it is installed, and a store that knows no Pub/Sub."""
    with ExitStack() as stack:
        store = stack.enter_context(storage.running(tmp_path / "store"))
        host = stack.enter_context(running_emulator(tmp_path)).host if emulator_jar() else None
        yield borrowing(host, f"{store.url}/")


def test_act_1_ends_as_told(tmp_path: Path, borrowed: list[str]) -> None:
    console = Console(file=io.StringIO(), width=150)
    with staged(LocalCloud(tmp_path / "home", borrowed), 1, console) as stage:
        stage.patience = PATIENCE
        assert played(stage, 1) == [True], told(console)
        assert not any("pubsub" in each.name or "storage" in each.name for each in (tmp_path / "home").iterdir())
        assert stage.cloud.state.entries("refused/") == []
        # Both uploads are announced to both functions, for the emulator ignores filters.
        least, end = 2 if "--pubsub" in borrowed else 1, time.monotonic() + 60
        while min((handled := handled_by(tmp_path / "home"))["check_rows"], handled["check_settings"]) < least:
            assert time.monotonic() < end, handled
            time.sleep(0.1)


def told(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def handled_by(home: Path) -> dict[str, int]:
    """How many messages each function has acknowledged or refused."""
    lines = (home / "environment").read_text().splitlines()
    (url,) = [line.partition("=")[2] for line in lines if line.startswith("SERIN_FUNCTIONS_HOST=")]
    told = httpx.get(f"{url}/local/functions", verify=False).json()
    return {each["function"]: each["handled"] for each in told}
