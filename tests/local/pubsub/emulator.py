"""Google's own Pub/Sub emulator, where the Cloud SDK has it and there is a Java to run it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from local.processes import free_port, wait_for_port

_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Emulator:
    """A running emulator: HOST:PORT and its process."""

    host: str
    pid: int


@cache
def emulator_jar() -> Path | None:
    """Where Google's emulator is; None where it cannot be run."""
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        return None
    places = Path(gcloud).resolve().parents[1].glob("platform/pubsub-emulator/lib/cloud-pubsub-emulator-*.jar")
    return next(iter(sorted(places)), None)


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Google's emulator for as long as the block runs; it keeps everything in memory."""
    port, jar = free_port(), emulator_jar()
    assert jar is not None
    command = ["java", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]
    kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
    with (
        (folder / "emulator.log").open("wb") as log,
        subprocess.Popen(command, env=kept, stdout=log, stderr=log) as java,
    ):
        try:
            if not wait_for_port(port, java, _READY_SECONDS):
                raise RuntimeError("Google's Pub/Sub emulator did not start")
            yield Emulator(f"127.0.0.1:{port}", java.pid)
        finally:
            java.terminate()
