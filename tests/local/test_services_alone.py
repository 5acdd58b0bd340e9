"""Each service is usable on its own, with nothing but a port: it says that it is ready, answers, and ends when told."""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
JOBS = "/v1/projects/p/locations/us-central1/jobs"


@pytest.mark.parametrize(
    ("service", "further", "path"),
    [
        ("pubsub", (), "/v1/projects/p/topics"),
        ("storage", (), "/storage/v1/b?project=p"),
        ("vertex", (), "/v1/projects/p/locations/us-central1/models"),
        ("run", (), "/v2/projects/p/locations/us-central1/services"),
        ("scheduler", ("--pubsub", "127.0.0.1:9"), JOBS),
    ],
)
def test_a_service_alone(tmp_path: Path, service: str, further: Sequence[str], path: str) -> None:
    command = [sys.executable, "-m", f"local.{service}", "--port", "0", *further]
    variables = {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["service"] == service
        answer = httpx.get(f"http://127.0.0.1:{told['port']}{path}", verify=False)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert answer.status_code == 200
    assert not list(tmp_path.iterdir()), "its data ended with it"
