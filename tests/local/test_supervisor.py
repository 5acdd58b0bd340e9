"""The whole local cloud: what is killed comes back where it was, and when it ends nothing of it is left."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.demo.cloud import LocalCloud
from tests.e2e.killing import SERVICES, processes_of

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalCloud]:
    made = LocalCloud(tmp_path)
    made.start()
    yield made
    made.stop()


def until(truth: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def variables(local: LocalCloud) -> dict[str, str]:
    lines = (local.home / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


def answers(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_every_service_that_is_killed_is_there_again_at_its_address(local: LocalCloud) -> None:
    addresses = {address.group() for value in variables(local).values() if (address := ADDRESS.search(value))}
    before = {name: processes_of(local)[name][0].pid for name in SERVICES}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: set(SERVICES) <= set(processes_of(local)))
    after = {name: processes_of(local)[name][0].pid for name in SERVICES}
    assert all(after[name] != before[name] for name in SERVICES)
    assert len(addresses) == 5  # the Scheduler asks and is not asked; logs are read at Vertex AI's
    until(lambda: all(answers(address) for address in addresses))


def test_when_it_ends_nothing_is_left_and_its_environment_is_gone(local: LocalCloud) -> None:
    everybody = [process for kind in processes_of(local).values() for process in kind]
    assert len(everybody) >= 6
    local.stop()
    assert [process for process in everybody if process.is_running() and process.status() != "zombie"] == []
    assert not (local.home / "environment").exists()
    assert (local.home / "installation").exists()


def test_what_a_killed_cloud_left_is_ended_by_the_next_start_on_the_same_ports(local: LocalCloud) -> None:
    known, before = variables(local), [each for kind in processes_of(local).values() for each in kind]
    local.kill()
    local.start()
    assert variables(local) == known
    gone, alive = psutil.wait_procs(before, timeout=10)
    assert (len(gone), alive) == (len(before), [])


def test_only_its_owner_reads_the_environment(local: LocalCloud) -> None:
    for name in ("environment", "installation"):
        assert (local.home / name).stat().st_mode & 0o077 == 0
