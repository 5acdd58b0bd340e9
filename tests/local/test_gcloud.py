"""The real gcloud on the local cloud: what people do by hand, and what the documentation tells them to type.

Each command costs gcloud some two seconds, so a test is a story of few commands. None of them sees the user's own
configuration: gcloud's folder is a new one, and no credentials are sent.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import scheduler, storage, vertex
from local.pubsub import server as pubsub
from tests.local.vertex.clients import IMAGES, PARENT, Clients, outcome

pytestmark = [
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
    pytest.mark.timeout(600),
]
_COMMAND_SECONDS = 180.0
_NOTICE_SECONDS = 60.0
Gcloud = Callable[..., Any]


class Refused(Exception):
    """gcloud ended with another exit status than 0; its text is what it said."""


def variables(folder: Path, **urls: str) -> dict[str, str]:
    """Nothing of the user's; each service at its own address, which gcloud wants to end with a slash."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    switches = {
        "HOME": str(folder),
        "CLOUDSDK_CONFIG": str(folder / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "serin-local",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
    }
    overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}": f"{url}/" for name, url in urls.items()}
    return {**kept, **switches, **overrides}


def runner(folder: Path, **urls: str) -> Gcloud:
    """Runs gcloud and answers what it prints as JSON; raises Refused."""
    environment = variables(folder, **urls)

    def run(*words: str) -> Any:
        command = ["gcloud", *words, "--format=json"]
        ended = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
        if ended.returncode:
            raise Refused(ended.stderr)
        return json.loads(ended.stdout or "null")

    return run


@pytest.fixture
def gcloud(tmp_path: Path) -> Iterator[Gcloud]:
    """gcloud on a local Pub/Sub, a Cloud Storage that notifies it, and a Scheduler that publishes to it."""
    with (
        pubsub.running(tmp_path / "pubsub") as broker,
        storage.running(tmp_path / "storage", broker.host) as store,
        scheduler.running(tmp_path / "scheduler", broker.host, minute_seconds=0.2) as clock,
    ):
        yield runner(tmp_path, pubsub=f"http://{broker.host}", storage=store.url, cloudscheduler=clock.url)


def test_topics_buckets_notifications_and_objects(gcloud: Gcloud, tmp_path: Path) -> None:
    gcloud("pubsub", "topics", "create", "data-uploaded", "dead-letters")
    subscription = gcloud(
        "pubsub", "subscriptions", "create", "hearer", "--topic=data-uploaded", "--ack-deadline=60",
        "--message-filter=hasPrefix(attributes.objectId, \"data/\")", "--expiration-period=never",
        "--dead-letter-topic=dead-letters", "--max-delivery-attempts=5", "--min-retry-delay=1s",
    )  # fmt: skip
    assert "hearer" in json.dumps(subscription)
    gcloud("storage", "buckets", "create", "gs://serin-data", "--location=us-central1")
    gcloud(
        "storage", "buckets", "notifications", "create", "gs://serin-data", "--topic=data-uploaded",
        "--event-types=OBJECT_FINALIZE", "--payload-format=json", "--skip-topic-setup",
    )  # fmt: skip
    (tmp_path / "rows.csv").write_bytes(b"a,b\n1,2\n")
    for name in ("notes/rows.csv", "data/flowers/rows.csv"):
        gcloud("storage", "cp", "rows.csv", f"gs://serin-data/{name}", "--if-generation-match=0")
    with pytest.raises(Refused, match=r"412|pre-?condition"):
        gcloud("storage", "cp", "rows.csv", "gs://serin-data/data/flowers/rows.csv", "--if-generation-match=0")
    gcloud("storage", "cp", "gs://serin-data/data/flowers/rows.csv", "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == b"a,b\n1,2\n"

    (heard,) = until_pulled(gcloud, "hearer")
    told = heard["message"]["attributes"]
    assert (told["eventType"], told["objectId"]) == ("OBJECT_FINALIZE", "data/flowers/rows.csv")
    assert gcloud("pubsub", "subscriptions", "pull", "hearer", "--auto-ack") == []


def test_a_cron_job(gcloud: Gcloud) -> None:
    gcloud("pubsub", "topics", "create", "clock-ticked")
    gcloud("pubsub", "subscriptions", "create", "ticks", "--topic=clock-ticked")
    made = gcloud(
        "scheduler", "jobs", "create", "pubsub", "clock", "--location=us-central1", "--schedule=* * * * *",
        "--topic=clock-ticked", "--message-body={}",
    )  # fmt: skip
    assert (made["schedule"], made["state"]) == ("* * * * *", "ENABLED")
    heard = until_pulled(gcloud, "ticks")
    assert heard[0]["message"]["data"] in ("e30=", "{}")


@pytest.fixture
def vertex_ai(tmp_path: Path) -> Iterator[tuple[Gcloud, Clients]]:
    """gcloud on a local Vertex AI, and Google's clients to prepare it."""
    with storage.running(tmp_path / "storage") as store:
        httpx.post(f"{store.url}/storage/v1/b?project=p", json={"name": "artefacts"}).raise_for_status()
        upload = f"{store.url}/upload/storage/v1/b/artefacts/o"
        params = {"uploadType": "media", "name": "digits/model/model.onnx"}
        httpx.post(upload, params=params, content=b"a model").raise_for_status()
        with vertex.running(tmp_path / "vertex", IMAGES, store.url, "127.0.0.1:1") as server:
            clients = Clients(server.url)
            yield runner(tmp_path, aiplatform=server.url), clients
            clients.close()


def test_models_and_the_traffic_of_an_endpoint(vertex_ai: tuple[Gcloud, Clients]) -> None:
    gcloud, clients = vertex_ai
    clients.upload("digits")
    clients.upload("digits", more=True)
    endpoint = clients.endpoint("digits").name
    outcome(clients.deploy(endpoint, "1", "digits@1", {"0": 100}))
    outcome(clients.deploy(endpoint, "2", "digits@2", {"0": 5, "1": 95}))

    (model,) = gcloud("ai", "models", "list", "--region=us-central1")
    assert (model["name"], model["versionId"]) == (f"{PARENT}/models/digits", "1")
    read = gcloud("ai", "endpoints", "describe", "digits", "--region=us-central1")
    assert (read["trafficSplit"], [each["id"] for each in read["deployedModels"]]) == ({"1": 95, "2": 5}, ["1", "2"])
    gcloud("ai", "endpoints", "update", "digits", "--region=us-central1", "--traffic-split=1=0,2=100")
    assert dict(clients.endpoints.get_endpoint(name=endpoint).traffic_split)["2"] == 100
    with pytest.raises(Refused, match=r"INVALID_ARGUMENT|100"):
        gcloud("ai", "endpoints", "update", "digits", "--region=us-central1", "--traffic-split=1=50,2=60")


def until_pulled(gcloud: Gcloud, subscription: str) -> list[dict[str, Any]]:
    """The first messages that come, acknowledged."""
    end = time.monotonic() + _NOTICE_SECONDS
    while time.monotonic() < end:
        found: list[dict[str, Any]] = gcloud("pubsub", "subscriptions", "pull", subscription, "--auto-ack")
        if found:
            return found
    raise AssertionError(f"nothing came on {subscription}")
