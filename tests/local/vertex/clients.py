"""Google's own clients, unmodified, pointed at a local Vertex AI."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1
from google.protobuf import json_format, struct_pb2

from local.vertex import Image

PARENT = "projects/serin-local/locations/us-central1"
CONTAINERS = Path(__file__).parent / "containers"
IMAGES = {
    "shell": Image(("/bin/sh", "-c")),
    "job": Image((sys.executable, str(CONTAINERS / "job.py"))),
    "serving": Image((sys.executable, str(CONTAINERS / "serving.py"))),
}
ARTEFACTS = "gs://artefacts/digits/model"


def until(truth: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while not (answer := truth()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return answer


def outcome(operation: Any) -> Any:
    """What an operation ends with, asked for more often than Google's client would; raises its error."""
    until(operation.done)
    return operation.result()


def value(plain: Any) -> Any:
    return json_format.ParseDict(plain, struct_pb2.Value())


class Clients:
    """The four services of Vertex AI that Serin uses, each over REST."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.jobs = self._client("JobServiceClient")
        self.models = self._client("ModelServiceClient")
        self.endpoints = self._client("EndpointServiceClient")
        self.predictions = self._client("PredictionServiceClient")

    def _client(self, kind: str) -> Any:
        options, nobody = ClientOptions(api_endpoint=self.url), AnonymousCredentials()  # type: ignore[no-untyped-call]
        return getattr(aiplatform_v1, kind)(transport="rest", client_options=options, credentials=nobody)

    def close(self) -> None:
        for client in (self.jobs, self.models, self.endpoints, self.predictions):
            client.transport.close()

    def job(self, script: str, labels: Mapping[str, str] | None = None, **scheduling: Any) -> Any:
        """A job that runs a shell script."""
        container = {"image_uri": "shell", "args": [script]}
        spec = {"worker_pool_specs": [{"container_spec": container, "replica_count": 1}], "scheduling": scheduling}
        wanted = {"display_name": "a job", "labels": dict(labels or {}), "job_spec": spec}
        return self.jobs.create_custom_job(parent=PARENT, custom_job=wanted)

    def ended_job(self, name: str) -> Any:
        ended = ("SUCCEEDED", "FAILED", "CANCELLED")
        return until(lambda: (job := self.jobs.get_custom_job(name=name)).state.name.endswith(ended) and job)

    def log(self, name: str) -> str:
        """What a job has written."""
        import httpx

        return httpx.get(f"{self.url}/local/logs/customJobs/{name.rsplit('/', 1)[-1]}").text

    def upload(self, model: str, more: bool = False, aliases: Sequence[str] = (), **container: Any) -> Any:
        """Uploads a model's first or next version; answers UploadModelResponse."""
        wanted = {
            "display_name": model,
            "artifact_uri": ARTEFACTS,
            "version_aliases": list(aliases),
            "container_spec": {"image_uri": "serving", **container},
        }
        request: dict[str, Any] = {"parent": PARENT, "model": wanted}
        request |= {"parent_model": f"{PARENT}/models/{model}"} if more else {"model_id": model}
        return outcome(self.models.upload_model(request=request))

    def endpoint(self, identity: str) -> Any:
        request = {"parent": PARENT, "endpoint": {"display_name": identity}, "endpoint_id": identity}
        return outcome(self.endpoints.create_endpoint(request=request))

    def deploy(self, endpoint: str, identity: str, model: str, split: Mapping[str, int] | None = None) -> Any:
        """Begins a deployment; answers its operation."""
        wanted = {"id": identity, "model": f"{PARENT}/models/{model}", "dedicated_resources": {"min_replica_count": 1}}
        request = {"endpoint": endpoint, "deployed_model": wanted, "traffic_split": dict(split or {})}
        return self.endpoints.deploy_model(request=request)

    def undeploy(self, endpoint: str, identity: str, split: Mapping[str, int] | None = None) -> Any:
        request = {"endpoint": endpoint, "deployed_model_id": identity, "traffic_split": dict(split or {})}
        return self.endpoints.undeploy_model(request=request)

    def shift(self, endpoint: str, split: Mapping[str, int], etag: str = "") -> Any:
        wanted = {"name": endpoint, "traffic_split": dict(split), "etag": etag}
        return self.endpoints.update_endpoint(endpoint=wanted, update_mask={"paths": ["traffic_split"]})

    def predict(self, endpoint: str, *instances: Any) -> Any:
        kind = aiplatform_v1.PredictRequest
        request = kind.wrap(kind.pb()(endpoint=endpoint, instances=[value(each) for each in instances]))
        return self.predictions.predict(request=request, retry=None)
