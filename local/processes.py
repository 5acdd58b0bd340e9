"""The child processes of the local cloud: services, functions, jobs, serving containers.

On Google Cloud a container ends with the machine that it runs on. Here a keeper can be killed while its children live
on, so every child is written down before it runs, and the next start on the same folder ends what was left behind:

    sh waits for a line ──► recorded ──► line sent, exec of the command ──► exit ──► struck off
            │                  └────────────────┬─────────────────┘
      keeper killed:                      keeper killed:
      end of input, sh ends               the next start ends the whole group
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import IO, Protocol

import psutil

_GRACE_SECONDS = 3.0
_LEFTOVER_GRACE_SECONDS = 1.0
_LOOK_SECONDS = 0.02
# A birth is told in clock ticks after the start of the machine, which is itself rounded.
_BORN_TOLERANCE_SECONDS = 0.05
_SECRET_PREFIXES = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_KEY", "GOOGLE_GHA", "CLOUDSDK_", "GCLOUD_")
# Process number and birth stay the same through exec.
_RUN_WHEN_TOLD = 'read -r _ && exec "$@" </dev/null'


class Polled(Protocol):
    """Any process that can be asked whether it has ended."""

    def poll(self) -> int | None: ...


class Child:
    """A process that was started, running or ended; its exit code is negative when a signal ended it."""

    def __init__(self, pid: int, born: float) -> None:
        self.pid = pid
        self.born = born
        self.exit: Future[int] = Future()

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.exit.result() if self.exit.done() else None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; raises TimeoutError."""
        return self.exit.result(timeout)

    async def ended(self) -> int:
        """The exit code once it has ended, for whoever runs on an event loop."""
        return await asyncio.shield(asyncio.wrap_future(self.exit))


class Processes:
    """Starts and ends children, each the leader of a process group of its own; may be used from any thread.

    A folder has one keeper at a time.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "processes.json"
        self._lock = threading.Lock()
        self._running: dict[int, Child] = {}
        self._leftovers = _recorded(self._path)

    def end_leftovers(self) -> int:
        """Ends the children of a keeper that was killed; answers how many there were.

        Only a process with the recorded number *and* birth is touched.
        """
        alive = [(pid, born) for pid, born in self._leftovers.items() if _is_same(pid, born)]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid, _ in alive:
                _signal_group(pid, number)
            _wait_until_gone(alive, _LEFTOVER_GRACE_SECONDS)
        with self._lock:
            self._leftovers = {}
            self._write()
        return len(alive)

    def start(self, command: Sequence[str], variables: Mapping[str, str], log: Path, cwd: Path | None = None) -> Child:
        """Starts a command with exactly these variables (less credentials); its output is appended to the log.

        A command that cannot be run ends with 126 or 127, as a container's does. Raises OSError for a missing `cwd`.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = _waiting_shell(command, without_credentials(variables), output, cwd)
        child = Child(process.pid, psutil.Process(process.pid).create_time())
        with self._lock:
            self._running[child.pid] = child
            self._write()
        _tell_to_run(process)
        threading.Thread(target=self._see_off, args=(process, child), name=f"child {child.pid}", daemon=True).start()
        return child

    def stop(self, child: Child, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Ends a child and its group: asked first, made to after the grace."""
        self.stop_all([child], grace_seconds)

    def stop_all(self, children: Iterable[Child] | None = None, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Ends these children, by default every one, all within one grace."""
        exits = {child.exit: child for child in (self.running() if children is None else children)}
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, None)):
            for child in exits.values():
                if child.poll() is None:
                    _signal_group(child.pid, number)
            wait(exits, timeout=seconds)

    def running(self) -> list[Child]:
        """The children that have not ended."""
        with self._lock:
            return list(self._running.values())

    def forget(self, child: Child) -> None:
        """Strikes an ended child off the list; its exit does that too."""
        with self._lock:
            if self._running.pop(child.pid, None) is not None:
                self._write()

    def _see_off(self, process: subprocess.Popen[bytes], child: Child) -> None:
        code = process.wait()
        # A container takes along whatever it started; the group's number cannot be another's so soon after.
        _signal_group(child.pid, signal.SIGKILL)
        self.forget(child)
        child.exit.set_result(code)

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({**self._leftovers, **{pid: child.born for pid, child in self._running.items()}}))
        draft.replace(self._path)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_credentials(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that would let a child reach the real Google Cloud."""
    return {name: value for name, value in variables.items() if not name.startswith(_SECRET_PREFIXES)}


def wait_for_port(port: int, child: Polled, seconds: float) -> bool:
    """Whether a child listens on its port before it ends and before the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(_LOOK_SECONDS)
    return False


def _waiting_shell(
    command: Sequence[str], variables: dict[str, str], output: IO[bytes], cwd: Path | None
) -> subprocess.Popen[bytes]:
    shell = ["/bin/sh", "-c", _RUN_WHEN_TOLD, "sh", *command]
    return subprocess.Popen(
        shell, env=variables, cwd=cwd, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
    )


def _tell_to_run(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(b"\n")


def _recorded(path: Path) -> dict[int, float]:
    known = json.loads(path.read_text() or "{}") if path.exists() else {}
    return {int(pid): float(born) for pid, born in known.items()}


def _is_same(pid: int, born: float) -> bool:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - born) < _BORN_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_until_gone(processes: Sequence[tuple[int, float]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(_is_same(*process) for process in processes) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)


def _signal_group(pid: int, number: signal.Signals) -> None:
    # macOS says "not permitted" of a group of which nothing but zombies is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
