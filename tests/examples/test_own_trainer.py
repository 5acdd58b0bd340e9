"""The trainer of one's own, run as a job of the local Vertex AI and judged by the real functions."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_iris

from local import storage, vertex
from local.vertex import Image
from shared.events import DeploymentApproved, EvaluationCompleted
from shared.ids import ModelName, RunId, run_parts
from shared.jobs import JobOrder
from shared.ledger import Outcome, window_key
from shared.settings import Settings, current
from tests.functions.standing_run import ledger, record
from tests.local.vertex.clients import PARENT, Clients, until
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send, tick
from training_image.onnx_model import OnnxModel
from training_image.signature import Signature

FOLDER = Path(__file__).parents[2] / "examples" / "own_trainer"
RUN = RunId("flowers-000001")
PLACE = f"flowers/{RUN}/1/model/"


def rows() -> tuple[str, int]:
    data = load_iris()
    order = np.random.default_rng(0).permutation(150)
    lines = [",".join(map(str, [*data.data[row], data.target_names[data.target[row]]])) for row in order]
    return "a,b,c,d,species\n" + "".join(f"{line}\n" for line in lines), len(lines)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with storage.running(tmp_path_factory.mktemp("storage")) as server:
        for bucket in ("data", "state", "artefacts"):
            httpx.post(f"{server.url}/storage/v1/b?project=p", json={"name": bucket}).raise_for_status()
        yield server.url


def put(url: str, bucket: str, name: str, content: bytes) -> int:
    asked = httpx.post(
        f"{url}/upload/storage/v1/b/{bucket}/o", params={"uploadType": "media", "name": name}, content=content
    )
    return int(asked.raise_for_status().json()["generation"])


@pytest.fixture(scope="module")
def job(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Clients, dict[str, Any]]]:
    """The job's end, the clients that saw it, and the run's record it was given."""
    text, count = rows()
    generation = put(store, "data", "data/flowers/a.csv", text.encode())
    upload = {
        "id": "u1",
        "bucket": "data",
        "name": "data/flowers/a.csv",
        "generation": generation,
        "sha256": "",
        "rows": count,
    }
    window = {
        "run": RUN, "uploads": [upload], "earlier": [], "champion": None, "settings_generation": 1,
        "schema": {"a": "number", "b": "number", "c": "number", "d": "number", "species": "text"},
        "settings": Settings.model_validate({"data": {"target": "species"}}).model_dump(mode="json"),
    }  # fmt: skip
    put(store, "state", "windows/flowers/000001", json.dumps({"data": window}).encode())
    images = {"own-trainer:1": Image((sys.executable, "main.py"), FOLDER)}
    variables = {"SERIN_INPUTS": "gs://state/windows/flowers/000001", "ARTIFACTS_DIR": f"gs://artefacts/{PLACE}"}
    container = {
        "image_uri": "own-trainer:1",
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }
    with vertex.running(tmp_path_factory.mktemp("vertex"), images, store, "127.0.0.1:1") as server:
        clients = Clients(server.url)
        wanted = {
            "display_name": "own",
            "job_spec": {"worker_pool_specs": [{"container_spec": container, "replica_count": 1}]},
        }
        made = clients.jobs.create_custom_job(parent=PARENT, custom_job=wanted)
        ended = until(
            lambda: (
                (now := clients.jobs.get_custom_job(name=made.name)).state.name.endswith(("SUCCEEDED", "FAILED"))
                and now
            ),
            100,
        )
        yield ended, clients, window
        clients.close()


@pytest.mark.timeout(200)
def test_the_job_succeeds_and_the_scorecard_deploys_what_it_left(job: Any, store: str) -> None:
    ended, clients, window = job
    assert ended.state.name == "JOB_STATE_SUCCEEDED", clients.log(ended.name)
    cloud = judged_by_the_functions(window, files(store))
    decision = data_of(cloud, "runs/flowers/000001/decision")
    assert (decision["verdict"], decision["evaluation"]["chosen"]) == ("deploy", "nearest centroid")
    assert decision["evaluation"]["challenger"]["score"] > 0.85


@pytest.mark.timeout(200)
def test_the_model_answers_its_golden_rows(job: Any, store: str) -> None:
    assert job[0].state.name == "JOB_STATE_SUCCEEDED"
    kept = files(store)
    signature, golden = Signature.model_validate_json(kept["signature.json"]), json.loads(kept["golden.json"])
    numbers = np.array([[row[name] for name in signature.names("number")] for row in golden["rows"]], dtype=np.float32)
    given = OnnxModel(kept["model.onnx"], signature).answers(numbers, np.empty((len(numbers), 0), dtype=object))
    assert given == pytest.approx(np.array(golden["probabilities"]), abs=1e-6)


def files(store: str) -> dict[str, bytes]:
    listed = httpx.get(f"{store}/storage/v1/b/artefacts/o").json()["items"]
    names = [each["name"] for each in listed]
    media = f"{store}/download/storage/v1/b/artefacts/o"
    return {
        name.removeprefix(PLACE): httpx.get(f"{media}/{name.replace('/', '%2F')}?alt=media").content for name in names
    }


def judged_by_the_functions(window: dict[str, Any], kept: dict[str, bytes]) -> MemoryCloud:
    """Lets reconcile find the job's end and decide_deployment judge it: nobody has published an event."""
    cloud = MemoryCloud()
    cloud.data.put("settings/flowers.toml", b'[data]\ntarget = "species"\n')
    model = ModelName("flowers")
    assert current(ledger(cloud), cloud.data, model) is not None
    ledger(cloud).record(window_key(*run_parts(RUN)), Outcome(window))
    labels = {"managed-by": "serin", "serin-run": RUN, "serin-attempt": "1", "serin-model": model}
    output = f"gs://artefacts/{PLACE.removesuffix('/model/')}"
    made = cloud.vertex.create_job(JobOrder("x", labels, "own-trainer:1", {}, output, "n1", "", 0, 60, None))
    cloud.vertex.end_job(made.name, "SUCCEEDED")
    record(cloud, "job-1", {"job": made.name, "attempt": 1, "output": output}, run=RUN)
    for name, content in kept.items():
        cloud.artefacts.put(f"{PLACE}{name}", content)
    assert tick(cloud) == 200
    (completed,) = [each for each in cloud.bus.events() if isinstance(each.payload, EvaluationCompleted)]
    cloud.bus.take()
    assert send(cloud, "decide_deployment", completed) == 200
    assert any(isinstance(each.payload, DeploymentApproved) for each in cloud.bus.events())
    return cloud
