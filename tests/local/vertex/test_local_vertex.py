"""Google's own client, behind Serin's door, against the local Vertex AI."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import storage
from local.containers import Image
from local.errors import Status
from local.vertex import Switches, running
from shared.door import open_door
from shared.environment import read_environment
from shared.errors import Conflict, Refused, SerinError
from shared.jobs import JobOrder
from shared.serving import Machine, Operation
from shared.vertex import CloudVertex, VersionOrder
from tests.world.cloud import VARIABLES

CONTAINERS = Path(__file__).parent / "containers"
IMAGES = {name: Image((sys.executable, str(CONTAINERS / f"{name}.py"))) for name in ("job", "serving")}


def until(truth: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while not (answer := truth()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return answer


@pytest.fixture
def storage_url(tmp_path: Path) -> Iterator[str]:
    with storage.running(tmp_path / "storage") as server:
        httpx.post(f"{server.url}/storage/v1/b?project=p", json={"name": "artefacts"}).raise_for_status()
        upload = f"{server.url}/upload/storage/v1/b/artefacts/o?uploadType=media&name=digits/model/model.onnx"
        httpx.post(upload, content=b"a model").raise_for_status()
        yield server.url


USUAL = Switches()
OTHERWISE = Switches(
    repeated_deployed_model=Status.INVALID_ARGUMENT,
    existing_model="NEW_VERSION",
    changed_endpoint=Status.FAILED_PRECONDITION,
    overdue_job="JOB_STATE_CANCELLED",
)


@pytest.fixture(params=[USUAL, OTHERWISE], ids=["usual", "otherwise"])
def vertex(tmp_path: Path, storage_url: str, request: pytest.FixtureRequest) -> Iterator[CloudVertex]:
    """Each answer that Google's documents leave open, in turn: Serin must not depend on it."""
    with running(tmp_path / "vertex", IMAGES, storage_url, switches=request.param) as server:
        yield client(server.url)


def client(url: str) -> CloudVertex:
    return CloudVertex(replace(read_environment(VARIABLES), vertex_endpoint=url), open_door)


def order(ends: str, run: str = "digits-000001", timeout_seconds: int = 60) -> JobOrder:
    return JobOrder(
        display_name="job",
        labels={"serin-run": run},
        image="job",
        variables={"ENDS": ends, "COLOUR": "red"},
        output="gs://artefacts/digits",
        machine_type="n1-standard-4",
        accelerator_type="",
        accelerator_count=0,
        timeout_seconds=timeout_seconds,
        service_account=None,
    )


def finished(vertex: CloudVertex, operation: Operation) -> Operation:
    return until(lambda: (now := vertex.operation(operation.name)).done and now)  # type: ignore[no-any-return]


def version(vertex: CloudVertex, run: str) -> str:
    asked = VersionOrder("digits", "serving", "gs://artefacts/digits/model", {"serin-run": run}, {})
    uploaded = finished(vertex, vertex.upload(asked))
    assert (uploaded.error, uploaded.ended is not None) == ("", True)
    return vertex.versions("digits")[-1].name


def deployed(vertex: CloudVertex, *numbers: str) -> None:
    finished(vertex, vertex.create_endpoint("serin-digits"))
    for number in numbers:
        name = version(vertex, f"digits-{number:0>6}")
        assert finished(vertex, vertex.deploy("serin-digits", number, name, Machine("n1-standard-2"), {})).error == ""


@pytest.mark.parametrize(("ends", "state"), [("0", "SUCCEEDED"), ("3", "FAILED")])
def test_a_job_ends_as_its_process_does(vertex: CloudVertex, ends: str, state: str) -> None:
    made = vertex.create_job(order(ends))
    ended = until(lambda: (now := vertex.job(made.name)).ended and now)
    assert ended.state == state
    assert ended.began is not None
    assert made.created <= ended.began
    assert ("status of 3" in ended.error) is (state == "FAILED")


def test_a_jobs_log_shows_the_environment_that_vertex_sets(vertex: CloudVertex, tmp_path: Path) -> None:
    made = vertex.create_job(order("0"))
    until(lambda: vertex.job(made.name).ended)
    log = (tmp_path / "vertex" / "logs" / f"job-{made.number}.log").read_text()
    assert f'"CLOUD_ML_JOB_ID": "{made.number}"' in log
    assert '"AIP_MODEL_DIR": "gs://artefacts/digits/model/"' in log


def test_jobs_are_found_by_label_and_cancelled(vertex: CloudVertex) -> None:
    vertex.create_job(order("never", run="digits-000001"))
    mine = vertex.create_job(order("never", run="digits-000002"))
    assert [job.name for job in vertex.jobs({"serin-run": "digits-000002"})] == [mine.name]
    assert [job.name for job in vertex.live_jobs({"serin-run": "digits-000002"})] == [mine.name]
    vertex.cancel_job(mine.name)
    assert until(lambda: (now := vertex.job(mine.name)).ended and now).state == "CANCELLED"
    assert vertex.live_jobs({"serin-run": "digits-000002"}) == []
    assert [job.name for job in vertex.jobs({"serin-run": "digits-000002"})] == [mine.name]


def test_a_job_beyond_its_timeout_fails(vertex: CloudVertex) -> None:
    made = vertex.create_job(order("never", timeout_seconds=1))
    assert "timeout" in until(lambda: (now := vertex.job(made.name)).ended and now).error


def test_versions_count_up_and_keep_their_labels(vertex: CloudVertex) -> None:
    assert vertex.versions("digits") == []
    version(vertex, "digits-000001")
    version(vertex, "digits-000002")
    assert [(each.number, each.labels["serin-run"]) for each in vertex.versions("digits")] == [
        ("1", "digits-000001"),
        ("2", "digits-000002"),
    ]


def test_one_version_is_the_default_and_neither_it_nor_a_deployed_one_can_be_deleted(vertex: CloudVertex) -> None:
    deployed(vertex, "1", "2")
    version(vertex, "digits-000003")
    first, second, third = vertex.versions("digits")
    assert (first.default, second.default, third.default) == (True, False, False)
    assert (first.endpoints, third.endpoints) == ({"serin-digits"}, frozenset())
    vertex.make_default(third.name)
    assert [each.default for each in vertex.versions("digits")] == [False, False, True]
    for kept in (second, third):
        with pytest.raises(Refused, match="400"):
            vertex.delete_version(kept.name)


def test_traffic_follows_the_split(vertex: CloudVertex) -> None:
    deployed(vertex, "1", "2")
    endpoint = vertex.endpoint("serin-digits")
    assert endpoint is not None
    assert endpoint.split == {}, "deployed dark"
    with pytest.raises(Refused):
        vertex.predict("serin-digits", [1], {})
    vertex.set_split(endpoint, {"1": 50, "2": 50})
    heard = Counter(vertex.predict("serin-digits", [1], {})[0][0] for _ in range(60))
    assert set(heard) == {"1", "2"}
    with pytest.raises((Conflict, Refused)):
        vertex.set_split(endpoint, {"1": 100})
    with pytest.raises(Refused, match="400"):
        vertex.predict("serin-digits", ["bad"], {})


def test_what_google_refuses_is_refused(vertex: CloudVertex) -> None:
    deployed(vertex, "1", "2")
    endpoint = vertex.endpoint("serin-digits")
    assert endpoint is not None
    for wrong in ({"1": 60, "2": 60}, {"1": 50, "7": 50}):
        with pytest.raises(SerinError):
            vertex.set_split(endpoint, wrong)
    now = vertex.set_split(endpoint, {"1": 95, "2": 5})
    with pytest.raises(SerinError):
        vertex.undeploy("serin-digits", "2")
    with pytest.raises(SerinError):
        vertex.deploy("serin-digits", "2", vertex.versions("digits")[0].name, Machine("m"), {})
    with pytest.raises(SerinError):
        vertex.create_endpoint("serin-digits")
    vertex.set_split(now, {"1": 100})
    assert finished(vertex, vertex.undeploy("serin-digits", "2")).error == ""
    left = vertex.endpoint("serin-digits")
    assert left is not None
    assert set(left.deployed) == {"1"}


def test_a_killed_container_is_started_again(vertex: CloudVertex) -> None:
    deployed(vertex, "1")
    endpoint = vertex.endpoint("serin-digits")
    assert endpoint is not None
    vertex.set_split(endpoint, {"1": 100})
    killed = int(vertex.predict("serin-digits", [1], {})[0][2])
    os.kill(killed, signal.SIGKILL)

    def answered() -> bool:
        try:
            return int(vertex.predict("serin-digits", [1], {})[0][2]) != killed
        except SerinError:
            return False

    assert until(answered)


def test_a_restart_brings_endpoints_back(tmp_path: Path, storage_url: str) -> None:
    with running(tmp_path / "vertex", IMAGES, storage_url) as server:
        vertex = client(server.url)
        deployed(vertex, "1")
        endpoint = vertex.endpoint("serin-digits")
        assert endpoint is not None
        vertex.set_split(endpoint, {"1": 100})
    with running(tmp_path / "vertex", IMAGES, storage_url) as server:
        vertex = client(server.url)

        def answered() -> list[Any]:
            try:
                return vertex.predict("serin-digits", [1], {})
            except SerinError:
                return []

        assert until(answered)[0][0] == "1"
