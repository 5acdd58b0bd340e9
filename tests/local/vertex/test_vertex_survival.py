"""What survives a kill -9 of the local Vertex AI: everything that it answered."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.api_core.exceptions import ServiceUnavailable

from tests.local.vertex.clients import IMAGES, Clients, outcome, until

ROOT = Path(__file__).parents[3]


@contextmanager
def service(folder: Path, storage: str) -> Iterator[tuple[Clients, "subprocess.Popen[bytes]"]]:
    """`python -m local.vertex` on a folder, killed at the end unless it has ended."""
    images = folder.with_suffix(".json")
    images.write_text(json.dumps({name: {"command": image.command} for name, image in IMAGES.items()}))
    command = [sys.executable, "-m", "local.vertex", "--data", str(folder), "--images", str(images)]
    process = subprocess.Popen([*command, "--storage", storage], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    with process, process.stdout:
        ready = json.loads(process.stdout.readline())
        assert ready["service"] == "vertex"
        clients = Clients(f"http://127.0.0.1:{ready['port']}")
        try:
            yield clients, process
        finally:
            clients.close()
            process.kill()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; an orphan may stay on as a zombie until its new parent looks."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def predicted(google: Clients, endpoint: str) -> Any:
    """The first answer once the container is ready again."""

    def answered() -> Any:
        try:
            return google.predict(endpoint, 1).predictions[0]
        except ServiceUnavailable:
            return None

    return until(answered)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose leftovers are ended."""
    yield tmp_path / "vertex"
    from local.processes import Processes

    Processes(tmp_path / "vertex").end_leftovers()


def test_a_kill_loses_no_endpoint_and_leaves_no_process_behind(folder: Path, artefact_store: str) -> None:
    with service(folder, artefact_store) as (google, _):
        google.upload("kept")
        endpoint = google.endpoint("kept").name
        outcome(google.deploy(endpoint, "5", "kept", {"0": 100}))
        before = google.endpoints.get_endpoint(name=endpoint)
        old = int(predicted(google, endpoint)[2])
    with service(folder, artefact_store) as (google, _):
        assert google.endpoints.get_endpoint(name=endpoint) == before
        deployed, _, new = predicted(google, endpoint)
        assert (deployed, int(new) != old) == ("5", True)
        assert is_gone(old)


def test_a_job_is_run_again_after_a_kill_unless_it_disables_retries(folder: Path, artefact_store: str) -> None:
    script = 'test -e "$0.seen" && exit 0; touch "$0.seen"; sleep 600'
    with service(folder, artefact_store) as (google, _):
        again = google.job(script.replace("$0", str(folder / "again")))
        once = google.job(script.replace("$0", str(folder / "once")), disable_retries=True)
        cancelled = google.job("trap '' TERM; touch " + str(folder / "cancelled.seen") + "; sleep 600")
        for name in ("again", "once", "cancelled"):
            until((folder / f"{name}.seen").exists)
        google.jobs.cancel_custom_job(name=cancelled.name)
    with service(folder, artefact_store) as (google, _):
        assert google.ended_job(again.name).state.name == "JOB_STATE_SUCCEEDED"
        lost = google.ended_job(once.name)
        assert (lost.state.name, lost.error.code) == ("JOB_STATE_FAILED", 13)
        assert google.ended_job(cancelled.name).state.name == "JOB_STATE_CANCELLED"
        assert google.job("exit 0").name not in (again.name, once.name, cancelled.name)


def test_a_deployment_under_way_goes_on_after_a_kill(folder: Path, artefact_store: str) -> None:
    with service(folder, artefact_store) as (google, _):
        google.upload("slow")
        endpoint = google.endpoint("slow").name
        begun = google.deploy(endpoint, "5", "slow", {"0": 100})
        assert not google.endpoints.get_operation({"name": begun.operation.name}).done
    with service(folder, artefact_store) as (google, _):

        def over() -> Any:
            now = google.endpoints.get_operation({"name": begun.operation.name})
            return now if now.done else None

        assert until(over).HasField("response")
        assert predicted(google, endpoint)[0] == "5"


def test_a_service_that_is_asked_to_end_takes_its_processes_along_quickly(folder: Path, artefact_store: str) -> None:
    with service(folder, artefact_store) as (google, process):
        google.upload("ended")
        endpoint = google.endpoint("ended").name
        outcome(google.deploy(endpoint, "5", "ended", {"0": 100}))
        container = int(predicted(google, endpoint)[2])
        google.job("trap '' TERM; touch " + str(folder / "seen") + "; while :; do sleep 1; done")
        until(lambda: (folder / "seen").exists())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert is_gone(container)
