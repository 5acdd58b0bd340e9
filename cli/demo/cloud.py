"""The demo's local cloud: a process of its own, which can be killed and goes on where it was."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cli.demo.stage import OtherwiseEndedError
from shared.environment import Cloud, GoogleCloud, read_environment

_READY_SECONDS = 90.0
_STOP_SECONDS = 20.0


class LocalCloud:
    """`python -m local` in a home; `start` answers once everything is ready."""

    def __init__(self, home: Path, borrowing: Sequence[str] = (), tick_seconds: float = 1.0) -> None:
        """`borrowing` are the options that name services of somebody else."""
        self.home = home
        self._tick_seconds = tick_seconds
        self._borrowing = borrowing
        self._process: subprocess.Popen[bytes] | None = None
        self.variables: dict[str, str] = {}

    @property
    def pid(self) -> int:
        """The process that all others descend from."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> dict[str, str]:
        """Starts it and answers its environment; raises OtherwiseEndedError when it does not get ready."""
        (self.home / "environment").unlink(missing_ok=True)
        command = [sys.executable, "-m", "local", "--home", str(self.home), "--ports", "0"]
        command += ["--tick-seconds", f"{self._tick_seconds:g}"]
        command += self._borrowing
        with (self.home / "cloud.log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.variables = self._environment()
        return self.variables

    def kill(self) -> None:
        """Ends it without a warning: what it had started is left behind."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ends it and everything it started."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_STOP_SECONDS)

    def _environment(self) -> dict[str, str]:
        end, path = time.monotonic() + _READY_SECONDS, self.home / "environment"
        assert self._process is not None
        while not path.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                raise OtherwiseEndedError(f"the local cloud did not start: see {self.home / 'cloud.log'}")
            time.sleep(0.05)
        return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


@contextmanager
def local_cloud(local: LocalCloud) -> Iterator[Cloud]:
    """Runs a local cloud for as long as the block does; this process speaks to it as everybody does."""
    before = dict(os.environ)
    try:
        variables = local.start()
        os.environ.update(variables)
        yield GoogleCloud(read_environment(variables))
    finally:
        local.stop()
        os.environ.clear()
        os.environ.update(before)
