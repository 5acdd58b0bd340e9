"""What an installation is made of: ports that stay, and services that may be somebody else's."""

import json
import socket
from pathlib import Path

import pytest

from local.supervisor import Borrowed, PortTaken, installed, running


def test_ports_stay_and_a_service_that_is_new_gets_one(tmp_path: Path) -> None:
    before = installed(tmp_path, 1.0, 8680).ports
    assert list(before.values()) == [8680, 8681, 8682, 8683, 8684, 8685]
    (tmp_path / "ports.json").write_text(json.dumps({name: port for name, port in before.items() if name != "vertex"}))
    after = installed(tmp_path, 1.0, 0).ports
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name]] == ["vertex"]
    assert installed(tmp_path, 1.0, 0).ports == after


def test_a_borrowed_service_is_not_started_and_everybody_is_told_where_it_is(tmp_path: Path) -> None:
    installation = installed(tmp_path, 1.0, 8680, Borrowed("127.0.0.1:8085", "http://localhost:9000"))
    assert list(installation.commands) == ["vertex", "run", "functions", "scheduler"]
    told = installation.environment
    assert (told["PUBSUB_EMULATOR_HOST"], told["STORAGE_EMULATOR_HOST"]) == ("127.0.0.1:8085", "http://localhost:9000")
    assert {"127.0.0.1:8085", "http://localhost:9000"} <= set(installation.commands["vertex"])
    assert "127.0.0.1:8085" in installation.commands["scheduler"]


def test_uploads_that_nobody_announces_are_looked_for_more_often(tmp_path: Path) -> None:
    announced = installed(tmp_path, 1.0, 8680, Borrowed(pubsub="127.0.0.1:8085")).environment
    unannounced = installed(tmp_path, 1.0, 8680, Borrowed(storage="http://127.0.0.1:9000")).environment
    assert (float(announced["SERIN_SWEEP_SECONDS"]), float(unannounced["SERIN_SWEEP_SECONDS"])) == (30.0, 2.0)


def test_where_another_installation_answers_nothing_is_started(tmp_path: Path) -> None:
    installation = installed(tmp_path, 1.0, 0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", installation.ports["storage"]))
        other.listen()
        with pytest.raises(PortTaken, match="storage would answer, is taken"), running(installation):
            pass
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("pubsub", "storage"),
    [
        ("pubsub.googleapis.com:443", None),
        ("http://127.0.0.1:8085", None),
        (None, "https://storage.googleapis.com"),
        (None, "http://10.0.0.1:9000"),
    ],
)
def test_only_what_runs_on_this_machine_is_borrowed(pubsub: str | None, storage: str | None) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Borrowed(pubsub, storage)
