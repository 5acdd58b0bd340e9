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


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    keeper = Processes(tmp_path)
    yield keeper
    keeper.stop_all(grace_seconds=0)


def until(truth: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def run(processes: Processes, folder: Path, *command: str, **variables: str) -> Child:
    return processes.start(command, {**PATH, **variables}, folder / "log")


def test_a_child_has_the_variables_given_and_no_credentials(processes: Processes, tmp_path: Path) -> None:
    secret = {"GOOGLE_APPLICATION_CREDENTIALS": "/secret.json", "CLOUDSDK_CORE_ACCOUNT": "me", "COLOUR": "red"}
    assert run(processes, tmp_path, "env", **secret).wait(10) == 0
    told = (tmp_path / "log").read_text()
    assert "COLOUR=red" in told
    assert "secret" not in told
    assert "CLOUDSDK" not in told


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", -9)])
def test_the_exit_code_tells_how_a_child_ended(processes: Processes, tmp_path: Path, command: str, code: int) -> None:
    assert run(processes, tmp_path, "sh", "-c", command).wait(10) == code


def test_a_command_that_does_not_exist_ends_as_a_containers_does(processes: Processes, tmp_path: Path) -> None:
    assert run(processes, tmp_path, "no-such-command").wait(10) == 127


def test_arguments_reach_the_command_unchanged(processes: Processes, tmp_path: Path) -> None:
    assert run(processes, tmp_path, "printf", "%s|", "a b", "$HOME", "'").wait(10) == 0
    assert (tmp_path / "log").read_text() == "a b|$HOME|'|"


def test_a_child_that_ignores_the_request_to_end_is_made_to(processes: Processes, tmp_path: Path) -> None:
    child = run(processes, tmp_path, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done")
    until(lambda: "up" in (tmp_path / "log").read_text())
    processes.stop(child, grace_seconds=0.1)
    assert child.poll() == -signal.SIGKILL


def test_children_are_asked_to_end_all_at_once(processes: Processes, tmp_path: Path) -> None:
    # Each ends well only once all have been asked, so that asking one after the other would have to kill them.
    meet = "touch asked-$0; while [ $(ls | grep -c asked-) -lt 3 ]; do sleep 0.02; done; exit 0"
    script = f"trap '{meet}' TERM; echo up; while :; do sleep 0.02; done"
    children = [
        processes.start(["sh", "-c", script, str(number)], PATH, tmp_path / "log", tmp_path) for number in range(3)
    ]
    until(lambda: (tmp_path / "log").read_text().count("up") == len(children))
    processes.stop_all(children, grace_seconds=10)
    assert [child.poll() for child in children] == [0, 0, 0]


def test_what_a_child_started_ends_with_it(processes: Processes, tmp_path: Path) -> None:
    child = run(processes, tmp_path, "sh", "-c", "sleep 600 & echo $!; wait")
    until(lambda: (tmp_path / "log").read_text().endswith("\n"))
    grandchild = int((tmp_path / "log").read_text())
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    until(lambda: not alive(grandchild))


def test_an_ended_child_is_struck_off(processes: Processes, tmp_path: Path) -> None:
    child = run(processes, tmp_path, "sleep", "600")
    assert list(json.loads((tmp_path / "processes.json").read_text())) == [str(child.pid)]
    processes.stop(child)
    assert json.loads((tmp_path / "processes.json").read_text()) == {}
    assert processes.running() == []


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
    assert not alive(left)
    assert Processes(tmp_path).end_leftovers() == 0


def test_a_process_that_only_has_the_number_of_a_leftover_lives_on(processes: Processes, tmp_path: Path) -> None:
    stranger = run(processes, tmp_path, "sleep", "600")
    other = tmp_path / "other"
    other.mkdir()
    (other / "processes.json").write_text(json.dumps({stranger.pid: stranger.born - 60}))
    assert Processes(other).end_leftovers() == 0
    assert stranger.poll() is None


def test_leftovers_stay_recorded_until_they_are_ended(processes: Processes, tmp_path: Path) -> None:
    left = run(processes, tmp_path, "sleep", "600")
    second = Processes(tmp_path)
    ended = run(second, tmp_path, "true")
    ended.wait(10)
    assert list(json.loads((tmp_path / "processes.json").read_text())) == [str(left.pid)]


def test_a_port_is_awaited_until_it_answers_or_the_child_has_ended(processes: Processes, tmp_path: Path) -> None:
    port = free_port()
    script = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); s.accept(); s.accept()"
    server = run(processes, tmp_path, sys.executable, "-c", script, str(port))
    assert wait_for_port(port, server, 10)
    ended = run(processes, tmp_path, "true")
    assert not wait_for_port(free_port(), ended, 10)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
