"""The real deploy.sh with the real gcloud against a loopback server: a slice always, the whole in `make deploy-check`.

What then stands is read from what the server was asked, and compared with the wiring. The slice runs the installed
command; the whole has it started once (gcloud_server.py): its start is most of the time of each of 600 commands.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.googles_permissions import permitted
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


def environment_of(cloud: Loopback, home: Path, gcloud: Path) -> dict[str, str]:
    path = f"{gcloud.parent}{os.pathsep}/usr/bin:/bin"
    return {**cloud.environment(str(home)), "PATH": path, "HOME": str(home), "PYTHON": sys.executable}


@contextmanager
def started_once(cloud: Loopback, home: Path) -> Iterator[Path]:
    """A command that is gcloud without its start; the installed one where gcloud brings no interpreter of its own."""
    installed = Path(shutil.which("gcloud") or "")
    root = installed.resolve().parent.parent
    python = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    if not python.exists():
        yield installed
        return
    (home / "bin").mkdir()
    command = home / "bin" / "gcloud"
    server = Path(__file__).with_name("gcloud_server.py")
    library = [str(root / "lib" / "third_party"), str(root / "lib")]
    with subprocess.Popen(
        [str(python), str(server), str(home / "socket"), str(command), *library],
        env=environment_of(cloud, home, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield command
        process.stdin.close()


def deploy(cloud: Loopback, home: Path, *arguments: str, gcloud: Path | None = None) -> list[Request]:
    """The requests with which a run of deploy.sh asked to change something; what it says is shown as it comes."""
    before, began = len(cloud.requests), time.monotonic()
    environment = environment_of(cloud, home, gcloud or Path(shutil.which("gcloud") or ""))
    command = [str(ROOT / "deploy.sh"), PROJECT, REGION, *arguments]
    said = []
    with subprocess.Popen(
        command, env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {line}")
            sys.stdout.flush()
    assert process.returncode == 0, "".join(said)
    return [each for each in cloud.requests[before:] if each.mutates]


def test_one_topic_is_made_once_by_gcloud_itself(cloud: Loopback, tmp_path: Path) -> None:
    only = ("--only", "topic data-uploaded")
    assert [each.path.split("?")[0] for each in deploy(cloud, tmp_path, *only)] == [
        f"/v1/projects/{PROJECT}/topics/data-uploaded"
    ]
    assert deploy(cloud, tmp_path, *only) == []


def test_one_custom_role_is_made_once_by_gcloud_itself(cloud: Loopback, tmp_path: Path) -> None:
    only = ("--only", "custom role serin.smoke_test")
    (made,) = deploy(cloud, tmp_path, *only)
    assert (made.method, made.path.split("?")[0]) == ("POST", f"/v1/projects/{PROJECT}/roles")
    assert made.body["role"]["includedPermissions"] == sorted(permitted("smoke_test"))
    assert deploy(cloud, tmp_path, *only) == []


HERE = f"projects/{PROJECT}/locations/{REGION}"


def made_by_functions() -> dict[str, Any]:
    """What stands when the first model is in production and the second a canary; one served on Cloud Run beside it."""
    service = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "serin-birds"}}
    job = {"apiVersion": "run.googleapis.com/v1", "kind": "Job", "metadata": {"name": "serin-birds-000001-1"}}
    arms = [{"id": "1", "model": f"{HERE}/models/digits"}, {"id": "2", "model": f"{HERE}/models/digits"}]
    made: dict[str, Any] = {
        f"{HERE}/endpoints/serin-digits": {
            "displayName": "serin-digits", "deployedModels": arms, "trafficSplit": {"1": 95, "2": 5},
        },
        f"{HERE}/endpoints/serin-digits-staging": {"displayName": "serin-digits-staging"},
        f"{HERE}/models/digits": {"displayName": "digits", "labels": {"serin-run": "digits-000002"}},
        f"{HERE}/customJobs/1": {"displayName": "serin-digits-000003-1", "state": "JOB_STATE_RUNNING"},
    }  # fmt: skip
    named = {name: {"name": name, **each} for name, each in made.items()}
    of_run = {
        f"namespaces/{PROJECT}/services/serin-birds": service,
        f"namespaces/{PROJECT}/jobs/serin-birds-000001-1": job,
    }
    return {**named, **of_run}


def _without(name: str) -> Callable[[State], None]:
    return lambda state: state.resources.__delitem__(name)


def _loosened(state: State) -> None:
    state.grant(f"b/{STATE}", "roles/storage.objectAdmin", "allUsers")


def _doubled(state: State) -> None:
    first = next(name for name in state.resources if name.startswith(f"b/{DATA}/notificationConfigs/"))
    state.resources[f"{first}1"] = state.resources[first]


def _widened(state: State) -> None:
    role = state.resources[f"projects/{PROJECT}/roles/serin.smoke_test"]
    role["includedPermissions"] = [*role["includedPermissions"], "run.services.delete"]


def _removed_role(state: State) -> None:
    state.resources[f"projects/{PROJECT}/roles/serin.reconcile"] |= {"deleted": True, "includedPermissions": []}


def _given_before(state: State) -> None:
    for role in ("roles/aiplatform.user", "roles/run.developer"):
        state.grant(f"projects/{PROJECT}", role, f"serviceAccount:serin-roll-back@{PROJECT}.iam.gserviceaccount.com")


def _unfiltered(state: State) -> None:
    name = f"projects/{PROJECT}/subscriptions/check_rows.data-uploaded"
    state.resources[name] = {**state.resources[name], "filter": ""}


TAMPERED: dict[str, Callable[[State], None]] = {
    "topics": _without(f"projects/{PROJECT}/topics/rolled-back"),
    "clock": _without(f"projects/{PROJECT}/locations/{REGION}/jobs/serin-clock"),
    "roles": _loosened,
    "notifications": _doubled,
    "subscriptions": _unfiltered,
    "custom roles": _widened,
}


@pytest.mark.skipif(not FULL, reason="hundreds of commands: make deploy-check runs it")
@pytest.mark.timeout(3600)
def test_the_whole_deployment_stands_as_wired_is_repeated_without_a_change_and_leaves_nothing(
    cloud: Loopback, tmp_path: Path
) -> None:
    with started_once(cloud, tmp_path) as gcloud:
        whole(cloud, tmp_path, gcloud)


def whole(cloud: Loopback, home: Path, gcloud: Path) -> None:
    """A deployment, a second one, and its removal."""
    before = {name: dict(each) for name, each in cloud.state.resources.items()}
    record = ("--transcript", os.environ.get("SERIN_DEPLOY_TRANSCRIPT") or str(home / "transcript"))
    assert deploy(cloud, home, *OPTIONS, *record, gcloud=gcloud)
    assert differences(cloud.state, SECRETS) == []
    for kind, tamper in TAMPERED.items():
        copy = State(json.loads(json.dumps(cloud.state.resources)), json.loads(json.dumps(cloud.state.policies)))
        tamper(copy)
        assert [each.split(":")[0] for each in differences(copy, SECRETS)] == [kind]

    assert deploy(cloud, home, *OPTIONS, *record, gcloud=gcloud) == []

    for tamper in (_widened, _removed_role, _given_before):
        tamper(cloud.state)
    changed = deploy(cloud, home, "--only=custom role", gcloud=gcloud)
    assert sorted(each.path.partition("?")[0].rpartition("/")[2] for each in changed) == [
        "serin.reconcile", "serin.reconcile:undelete", "serin.smoke_test",
    ]  # fmt: skip
    assert len(deploy(cloud, home, "--only=roles of earlier", gcloud=gcloud)) == 2
    assert differences(cloud.state, SECRETS) == []

    made = made_by_functions()
    cloud.state.resources |= made
    kept = f"b/{STATE}/o/runs/1"  # which the retention would hold
    cloud.state.resources[kept] = {"name": "runs/1", "bucket": STATE, "generation": "1", "size": "2"}
    assert deploy(cloud, home, *OPTIONS, "--destroy", "--yes", *record, gcloud=gcloud)
    assert [name for name in made if name in cloud.state.resources] == [cancelled := f"{HERE}/customJobs/1"]
    assert cloud.state.resources.pop(cancelled)["state"] == "JOB_STATE_CANCELLED"
    # Cloud Build keeps its history, which nobody can remove; a custom role's name would be taken for weeks.
    kept_there = ("/builds/", "/roles/")
    left = {name: each for name, each in cloud.state.resources.items() if not any(part in name for part in kept_there)}
    assert left == before
    held = {
        member
        for policy in cloud.state.policies.values()
        for each in policy.get("bindings", [])
        for member in each["members"]
    }
    assert {each for each in held if "@gcp-sa-" not in each} == set()
