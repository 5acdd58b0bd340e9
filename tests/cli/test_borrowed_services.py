"""What the command says to the local cloud about services of somebody else, and of them when they are gone."""

from pathlib import Path

import pytest

from cli.connection import borrowing, connected
from local.processes import free_port
from shared.errors import BadInput


def test_what_is_borrowed_is_passed_on_and_a_slash_at_the_end_is_not() -> None:
    assert borrowing(None, None) == []
    assert borrowing("127.0.0.1:8085", None) == ["--pubsub", "127.0.0.1:8085"]
    assert borrowing(None, "http://127.0.0.1:9000/") == ["--storage", "http://127.0.0.1:9000"]


def test_an_installation_whose_borrowed_storage_is_gone_cannot_be_read(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "ports.json").write_text("{}")
    (tmp_path / "installation").write_text(f"STORAGE_EMULATOR_HOST={url}\n")
    with pytest.raises(BadInput, match=url), connected(tmp_path):
        pass
    assert not (tmp_path / "storage").exists()
