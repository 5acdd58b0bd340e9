"""The real deploy.sh with the real gcloud against a loopback server: a slice always, the whole in `make deploy-check`.

What then stands is read from what the server was asked, and compared with the wiring.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.loopback.server import Loopback, Request, serving
from tests.deploy.loopback.state import PROJECT, State
from tests.deploy.wired import DATA, REGION, STATE, differences

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("SERIN_DEPLOY_CHECK") == "full"
SECRETS = {"SERIN_NOTIFY_URLS": "serin-urls:1", "SERIN_NOTIFY_CHANNELS": "serin-channels:2"}
OPTIONS = ("--notify-secret=serin-urls:1", "--channels-secret=serin-channels:2")
pytestmark = pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed")


@pytest.fixture
def cloud() -> Iterator[Loopback]:
    with serving() as found:
        for secret in SECRETS.values():
            name = f"projects/{PROJECT}/secrets/{secret.split(':')[0]}"
            found.state.resources[name] = {"name": name}
        yield found
        assert found.errors == []


def deploy(cloud: Loopback, home: Path, *arguments: str) -> list[Request]:
    """The requests with which a run of deploy.sh asked to change something."""
    before = len(cloud.requests)
    gcloud = shutil.which("gcloud") or ""
    path = f"{Path(gcloud).parent}{os.pathsep}/usr/bin:/bin"
    environment = {**cloud.environment(str(home)), "PATH": path, "HOME": str(home), "PYTHON": sys.executable}
    command = [str(ROOT / "deploy.sh"), PROJECT, REGION, *arguments]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [each for each in cloud.requests[before:] if each.mutates]


def test_one_topic_is_made_once_by_gcloud_itself(cloud: Loopback, tmp_path: Path) -> None:
    only = ("--only", "topic data-uploaded")
    assert [each.path.split("?")[0] for each in deploy(cloud, tmp_path, *only)] == [
        f"/v1/projects/{PROJECT}/topics/data-uploaded"
    ]
    assert deploy(cloud, tmp_path, *only) == []


def _without(name: str) -> Callable[[State], None]:
    return lambda state: state.resources.__delitem__(name)


def _loosened(state: State) -> None:
    state.grant(f"b/{STATE}", "roles/storage.objectAdmin", "allUsers")


def _doubled(state: State) -> None:
    first = next(name for name in state.resources if name.startswith(f"b/{DATA}/notificationConfigs/"))
    state.resources[f"{first}1"] = state.resources[first]


def _unfiltered(state: State) -> None:
    name = f"projects/{PROJECT}/subscriptions/check_rows.data-uploaded"
    state.resources[name] = {**state.resources[name], "filter": ""}


TAMPERED: dict[str, Callable[[State], None]] = {
    "topics": _without(f"projects/{PROJECT}/topics/rolled-back"),
    "clock": _without(f"projects/{PROJECT}/locations/{REGION}/jobs/serin-clock"),
    "roles": _loosened,
    "notifications": _doubled,
    "subscriptions": _unfiltered,
}


@pytest.mark.skipif(not FULL, reason="hundreds of commands: make deploy-check runs it")
@pytest.mark.timeout(3600)
def test_the_whole_deployment_stands_as_wired_is_repeated_without_a_change_and_leaves_nothing(
    cloud: Loopback, tmp_path: Path
) -> None:
    before = {name: dict(each) for name, each in cloud.state.resources.items()}
    record = ("--transcript", os.environ.get("SERIN_DEPLOY_TRANSCRIPT") or str(tmp_path / "transcript"))
    assert deploy(cloud, tmp_path, *OPTIONS, *record)
    assert differences(cloud.state, SECRETS) == []
    for kind, tamper in TAMPERED.items():
        copy = State(json.loads(json.dumps(cloud.state.resources)), json.loads(json.dumps(cloud.state.policies)))
        tamper(copy)
        assert [each.split(":")[0] for each in differences(copy, SECRETS)] == [kind]

    assert deploy(cloud, tmp_path, *OPTIONS, *record) == []

    kept = f"b/{STATE}/o/runs/1"  # which the retention would hold
    cloud.state.resources[kept] = {"name": "runs/1", "bucket": STATE, "generation": "1", "size": "2"}
    assert deploy(cloud, tmp_path, *OPTIONS, "--destroy", "--yes", *record)
    # Cloud Build keeps its history, which nobody can remove.
    assert {name: each for name, each in cloud.state.resources.items() if "/builds/" not in name} == before
    held = {
        member
        for policy in cloud.state.policies.values()
        for each in policy.get("bindings", [])
        for member in each["members"]
    }
    assert {each for each in held if "@gcp-sa-" not in each} == set()
