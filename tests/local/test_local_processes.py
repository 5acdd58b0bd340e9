"""Children that end when they should, and never outlive the next start of their keeper."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local.processes import Child, Processes, free_port, wait_for_port

ROOT = Path(__file__).parents[2]
PATH = {"PATH": os.environ["PATH"]}
KEEPER = """
import sys, time
from pathlib import Path
from local.processes import Processes
folder = Path(sys.argv[1])
child = Processes(folder).start(["sleep", "600"], {"PATH": sys.argv[2]}, folder / "log")
print(child.pid, flush=True)
time.sleep(600)
"""


class Nursery:
    """Starts children and ends those that a test left running."""

    def __init__(self, folder: Path) -> None:
        self.keeper = Processes(folder)
        self.log = folder / "log"
        self.children: list[Child] = []

    def run(self, *command: str, **variables: str) -> Child:
        child = self.keeper.start(command, {**PATH, **variables}, self.log)
        self.children.append(child)
        return child


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    made = Nursery(tmp_path)
    yield made
    made.keeper.stop_all(made.children, grace_seconds=0)


def until(truth: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_child_has_the_variables_given_and_no_credentials(nursery: Nursery) -> None:
    secret = {"GOOGLE_APPLICATION_CREDENTIALS": "/secret.json", "CLOUDSDK_CORE_ACCOUNT": "me", "COLOUR": "red"}
    assert nursery.run("env", **secret).wait(10) == 0
    told = nursery.log.read_text()
    assert "COLOUR=red" in told
    assert "secret" not in told
    assert "CLOUDSDK" not in told


def test_a_child_that_ignores_the_request_to_end_is_made_to(nursery: Nursery) -> None:
    child = nursery.run("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
    until(lambda: "up" in nursery.log.read_text())
    nursery.keeper.stop(child, grace_seconds=0.1)
    assert child.poll() == -signal.SIGKILL


def test_several_children_end_in_the_time_of_one(nursery: Nursery) -> None:
    script = "trap 'sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    children = [nursery.run("sh", "-c", script) for _ in range(4)]
    until(lambda: nursery.log.read_text().count("up") == len(children))
    begun = time.monotonic()
    nursery.keeper.stop_all(children, grace_seconds=5)
    assert time.monotonic() - begun < 1.8
    assert all(child.poll() is not None for child in children)


def test_an_ended_child_is_struck_off(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.run("sleep", "600")
    assert list(json.loads((tmp_path / "processes.json").read_text())) == [str(child.pid)]
    nursery.keeper.stop(child)
    assert json.loads((tmp_path / "processes.json").read_text()) == {}


def test_the_next_start_ends_what_a_killed_keeper_left(tmp_path: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(tmp_path), PATH["PATH"]], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert keeper.stdout is not None
    with keeper.stdout:
        left = int(keeper.stdout.readline())
    keeper.kill()
    keeper.wait()
    assert alive(left)
    assert Processes(tmp_path).end_leftovers() == 1
    until(lambda: not alive(left))
    assert Processes(tmp_path).end_leftovers() == 0


def test_a_process_that_only_has_the_number_of_a_leftover_lives_on(nursery: Nursery, tmp_path: Path) -> None:
    stranger = nursery.run("sleep", "600")
    other = tmp_path / "other"
    other.mkdir()
    born = psutil.Process(stranger.pid).create_time()
    (other / "processes.json").write_text(json.dumps({stranger.pid: born - 60}))
    assert Processes(other).end_leftovers() == 0
    assert stranger.poll() is None


def test_a_port_is_awaited_until_it_answers_or_the_child_has_ended(nursery: Nursery) -> None:
    port = free_port()
    script = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); s.accept(); s.accept()"
    server = nursery.run(sys.executable, "-c", script, str(port))
    assert wait_for_port(port, server, 10)
    ended = nursery.run("true")
    assert not wait_for_port(free_port(), ended, 10)
