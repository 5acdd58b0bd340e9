"""Each image's entry point, run from what the image holds and nothing else: a forgotten file or package fails here."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import storage
from local.processes import free_port, without_credentials
from local.pubsub import server as pubsub
from shared.ids import ModelName, UploadId
from shared.ledger import Outcome, window_key
from shared.tables.checksum import content_id_of
from shared.windows import Upload as Stored
from tests.images.unpacked import command, packages, unpack
from tests.serving_image.test_serving_container import healthy, until
from tests.serving_image.toys import artefacts, instances
from tests.training_image.recorded_run import ROWS, VARIABLES, ledger, window_of
from tests.world.cloud import MemoryCloud

BUCKETS = ("data", "state", "artefacts")


class Unpacked:
    """An image in a folder of its own."""

    def __init__(self, image: str, folder: Path) -> None:
        self.image, self.files, self.packages = image, folder / "files", folder / "packages"
        unpack(image, self.files)
        packages(image, self.packages)

    def start(self, variables: dict[str, str]) -> "subprocess.Popen[bytes]":
        known = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.packages), **variables}
        return subprocess.Popen(
            command(self.image), cwd=self.files, env=without_credentials(known),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.fixture
def serving(tmp_path: Path) -> Unpacked:
    return Unpacked("serving", tmp_path)


@pytest.fixture
def toy_artefacts(tmp_path: Path) -> Path:
    folder, fetched = tmp_path / "artefacts", artefacts()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(fetched.graph)
    (folder / "signature.json").write_bytes(fetched.signature)
    return folder


def variables_of(folder: Path, port: int) -> dict[str, str]:
    return {"ARTIFACTS_DIR": str(folder), "PORT": str(port), "SERIN_HOST": "127.0.0.1"}


def test_the_serving_image_answers_from_what_it_holds(serving: Unpacked, toy_artefacts: Path) -> None:
    port = free_port()
    with serving.start(variables_of(toy_artefacts, port)) as process:
        try:
            until(lambda: process.poll() is not None or healthy(port), 60)
            assert process.poll() is None, process.stdout and process.stdout.read().decode()
            body = json.dumps({"instances": [instances(1)[0]]}).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/predict", body) as answer:
                assert len(json.loads(answer.read())["predictions"]) == 1
        finally:
            process.terminate()
            assert process.wait(20) == 0


@pytest.mark.parametrize("forgotten", ["serving_image/batching.py"])
def test_a_forgotten_file_ends_the_entry_point(serving: Unpacked, toy_artefacts: Path, forgotten: str) -> None:
    (serving.files / forgotten).unlink()
    with serving.start(variables_of(toy_artefacts, free_port())) as process:
        assert process.wait(60) not in (0, None)
        assert process.stdout is not None and b"ModuleNotFoundError" in process.stdout.read()


def test_a_forgotten_package_ends_the_entry_point(serving: Unpacked, toy_artefacts: Path) -> None:
    shutil.rmtree(serving.packages / "onnxruntime")
    with serving.start(variables_of(toy_artefacts, free_port())) as process:
        assert process.wait(60) not in (0, None)
        assert process.stdout is not None and b"No module named 'onnxruntime'" in process.stdout.read()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[dict[str, str]]:
    with pubsub.running(tmp_path / "pubsub") as bus, storage.running(tmp_path / "storage") as store:
        yield {
            "GOOGLE_CLOUD_PROJECT": "p", "SERIN_DATA_BUCKET": "data", "SERIN_STATE_BUCKET": "state",
            "SERIN_ARTEFACTS_BUCKET": "artefacts", "PUBSUB_EMULATOR_HOST": f"127.0.0.1:{bus.port}",
            "STORAGE_EMULATOR_HOST": store.url,
        }  # fmt: skip


def test_the_training_image_trains_from_what_it_holds(tmp_path: Path, services: dict[str, str]) -> None:
    with httpx.Client(base_url=services["STORAGE_EMULATOR_HOST"], verify=False) as store:
        for name in BUCKETS:
            store.post("/storage/v1/b?project=p", json={"name": name}).raise_for_status()
        upload = Stored(
            UploadId("a"), "data", "a.csv", put(store, "data", "a.csv", ROWS), content_id_of(ROWS.encode()), 40
        )
        put(store, "state", *recorded(window_of([upload.to_json()])))
    httpx.put(f"http://{services['PUBSUB_EMULATOR_HOST']}/v1/projects/p/topics/evaluation-completed", json={})
    with Unpacked("training", tmp_path).start({**VARIABLES, **services}) as process:
        assert process.stdout is not None
        told = process.stdout.read().decode()
    assert process.returncode == 0, told
    assert "evaluation completed" in told


def put(store: httpx.Client, bucket: str, name: str, content: str) -> int:
    """Puts an object; answers its generation."""
    params = {"uploadType": "media", "name": name}
    answer = store.post(f"/upload/storage/v1/b/{bucket}/o", params=params, content=content)
    return int(answer.raise_for_status().json()["generation"])


def recorded(window: dict[str, Any]) -> tuple[str, str]:
    """Key and content of the record of a closed window."""
    cloud, key = MemoryCloud(), window_key(ModelName("demo"), 2)
    ledger(cloud).record(key, Outcome(window))
    return key, (cloud.state.read(key) or b"").decode()
