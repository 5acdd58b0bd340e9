"""The child processes of the local cloud: jobs, serving containers, functions.

Every child is written down with the time it was born; after a kill -9 of its parent, the next start on the same data
folder ends what is left of it, and nothing that only happens to have the same number.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_GRACE_SECONDS = 3.0
_BORN_TOLERANCE_SECONDS = 0.05
_SECRET_PREFIXES = ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_", "GOOGLE_GHA", "GCLOUD_")
Child = subprocess.Popen[bytes]


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_credentials(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that would let a child reach the real Google Cloud."""
    return {name: value for name, value in variables.items() if not name.startswith(_SECRET_PREFIXES)}


class Processes:
    """Starts and ends children, each the leader of a process group of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "processes.json"
        self._lock = threading.Lock()
        self._born: dict[str, float] = {}

    def end_leftovers(self) -> int:
        """Ends the children of a parent that was killed; answers how many there were."""
        if not self._path.exists():
            return 0
        known = json.loads(self._path.read_text() or "{}")
        alive = [int(pid) for pid, born in known.items() if _is_same(int(pid), born)]
        for pid in alive:
            _signal_group(pid, signal.SIGKILL)
        self._write()
        return len(alive)

    def start(self, command: Sequence[str], variables: Mapping[str, str], log: Path, cwd: Path | None = None) -> Child:
        """Starts a command with exactly these variables (less credentials); its output is appended to the log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(command), env=without_credentials(variables), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip
        self._note(child.pid)
        return child

    def stop(self, child: Child, grace_seconds: float = _GRACE_SECONDS) -> None:
        """Ends a child and its group: asked first, made to after the grace."""
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=grace_seconds)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()
        self.forget(child)

    def stop_all(self, children: Sequence[Child], grace_seconds: float = _GRACE_SECONDS) -> None:
        """Ends several children in the time that the slowest takes."""
        for child in children:
            _signal_group(child.pid, signal.SIGTERM)
        for child in children:
            self.stop(child, grace_seconds)

    def forget(self, child: Child) -> None:
        """Strikes an ended child off the list."""
        with self._lock:
            self._born.pop(str(child.pid), None)
            self._write()

    def _note(self, pid: int) -> None:
        try:
            born = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        with self._lock:
            self._born[str(pid)] = born
            self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self._born))
        draft.replace(self._path)


def wait_for_port(port: int, child: Child, seconds: float) -> bool:
    """Whether a child listens on its port before it ends and before the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def _is_same(pid: int, born: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - born) < _BORN_TOLERANCE_SECONDS
    except psutil.NoSuchProcess:
        return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
