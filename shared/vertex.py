"""The thin door to Vertex AI: jobs, model versions, endpoints, operations; always over its REST transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from shared.door import Door
from shared.errors import Refused
from shared.identity import access_header, rest_client
from shared.job_logs import last_lines
from shared.jobs import ENDED, Job, JobOrder, TrainingBackend
from shared.serving import Address, Endpoint, Machine, Operation, ServingBackend

if TYPE_CHECKING:
    from shared.environment import Environment

_CALL_TIMEOUT_SECONDS = 30.0
_DEFAULT = "default"
"""The alias that exactly one version of a model has."""


@dataclass(frozen=True)
class BatchOrder:
    """What a batch prediction job is to be: JSON Lines in, predictions out, a row known by its field `key`."""

    display_name: str
    labels: Mapping[str, str]
    version: str
    inputs: Sequence[str]
    output: str
    key: str
    machine_type: str


@dataclass(frozen=True)
class Version:
    """A model version in the registry, as `projects/…/models/M@V`.

    The default one is what `models/M` means; it cannot be deleted, nor can one that an endpoint has. `endpoints` are
    the names of those that have it, Serin's or somebody else's.
    """

    name: str
    labels: Mapping[str, str]
    default: bool = False
    endpoints: frozenset[str] = frozenset()

    @property
    def number(self) -> str:
        return self.name.rsplit("@", 1)[-1]


@dataclass(frozen=True)
class VersionOrder:
    """What a model version is to be."""

    model: str
    image: str
    artefacts: str
    labels: Mapping[str, str]
    variables: Mapping[str, str]


class Vertex(ServingBackend, TrainingBackend, Protocol):
    """What Serin asks of Vertex AI: it trains, serves, scores files and keeps the registry of every model.

    Raises Transient, Conflict or Refused.
    """

    def live_jobs(self, labels: Mapping[str, str]) -> list[Job]:
        """The training jobs with these labels that have not ended, oldest first: few, however long the history."""

    def batch_jobs(self, labels: Mapping[str, str]) -> list[Job]:
        """All batch prediction jobs with these labels, oldest first, in every state."""

    def create_batch_job(self, order: BatchOrder) -> Job:
        """Makes a batch prediction job; never retried here, as a second try could make a second job."""

    def batch_job(self, name: str) -> Job: ...
    def cancel_batch_job(self, name: str) -> None: ...

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, oldest first; none if the model does not exist."""

    def upload(self, order: VersionOrder) -> Operation:
        """Starts an upload: the model's first version, or one more that is not the default."""

    def recipe(self, version: str) -> VersionOrder:
        """What a version was uploaded as, for a backend that does not read the registry by itself."""

    def make_default(self, version: str) -> None:
        """Makes a version the one that `models/M` means, in place of another."""

    def delete_version(self, version: str) -> None: ...


class CloudVertex:
    """Vertex AI, through Google's client."""

    def __init__(self, environment: "Environment", door: Door) -> None:
        self._environment = environment
        self._door = door
        self._parent = f"projects/{environment.project}/locations/{environment.region}"

    @cached_property
    def _api(self) -> Any:
        from google.cloud import aiplatform_v1

        return aiplatform_v1

    def _client(self, kind: str) -> Any:
        endpoint = self._environment.vertex_endpoint or f"https://{self._environment.region}-aiplatform.googleapis.com"
        return rest_client(getattr(self._api, kind), endpoint)

    @cached_property
    def _jobs(self) -> Any:
        return self._client("JobServiceClient")

    @cached_property
    def _models(self) -> Any:
        return self._client("ModelServiceClient")

    @cached_property
    def _endpoints(self) -> Any:
        return self._client("EndpointServiceClient")

    @cached_property
    def _predictions(self) -> Any:
        return self._client("PredictionServiceClient")

    def jobs(self, labels: Mapping[str, str]) -> list[Job]:
        return self._listed(_with_labels(labels))

    def live_jobs(self, labels: Mapping[str, str]) -> list[Job]:
        not_ended = [f'state!="JOB_STATE_{state}"' for state in sorted(ENDED)]
        return self._listed(" AND ".join([_with_labels(labels), *not_ended]))

    def _listed(self, wanted: str) -> list[Job]:
        request = {"parent": self._parent, "filter": wanted}
        found = self._door(
            "vertex.list_jobs",
            lambda: list(self._jobs.list_custom_jobs(request=request, timeout=_CALL_TIMEOUT_SECONDS)),
        )
        return sorted((_job(job) for job in found), key=lambda job: (job.created, job.name))

    def create_job(self, order: JobOrder) -> Job:
        api = self._api
        machine: dict[str, Any] = {"machine_type": order.machine_type}
        if order.accelerator_count:
            machine |= {"accelerator_type": order.accelerator_type, "accelerator_count": order.accelerator_count}
        variables = [{"name": name, "value": value} for name, value in sorted(order.variables.items())]
        pool = {
            "machine_spec": machine,
            "replica_count": 1,
            "container_spec": {"image_uri": order.image, "env": variables},
        }
        spec = {
            "worker_pool_specs": [pool],
            "scheduling": {
                "timeout": {"seconds": order.timeout_seconds},
                **({"strategy": "SPOT"} if order.spot else {}),
            },
            "base_output_directory": {"output_uri_prefix": order.output},
            "service_account": order.service_account or "",
        }
        job = api.CustomJob(display_name=order.display_name, labels=dict(order.labels), job_spec=spec)
        return _job(
            self._door(
                "vertex.create_job",
                lambda: self._jobs.create_custom_job(
                    parent=self._parent, custom_job=job, retry=None, timeout=_CALL_TIMEOUT_SECONDS
                ),
            )
        )

    def job(self, name: str) -> Job:
        return _job(
            self._door("vertex.get_job", lambda: self._jobs.get_custom_job(name=name, timeout=_CALL_TIMEOUT_SECONDS))
        )

    def job_log(self, name: str, lines: int) -> tuple[str, ...]:
        wanted = f'resource.type="ml_job" AND resource.labels.job_id="{name.rsplit("/", 1)[-1]}"'
        return self._door("logging.list", lambda: last_lines(self._environment, wanted, lines))

    def cancel_job(self, name: str) -> None:
        self._door("vertex.cancel_job", lambda: self._jobs.cancel_custom_job(name=name, timeout=_CALL_TIMEOUT_SECONDS))

    def batch_jobs(self, labels: Mapping[str, str]) -> list[Job]:
        request = {"parent": self._parent, "filter": _with_labels(labels)}
        found = self._door(
            "vertex.list_batch_jobs",
            lambda: list(self._jobs.list_batch_prediction_jobs(request=request, timeout=_CALL_TIMEOUT_SECONDS)),
        )
        return sorted((_batch_job(job) for job in found), key=lambda job: (job.created, job.name))

    def create_batch_job(self, order: BatchOrder) -> Job:
        api = self._api
        job = api.BatchPredictionJob(
            display_name=order.display_name,
            labels=dict(order.labels),
            model=order.version,
            input_config={"instances_format": "jsonl", "gcs_source": {"uris": list(order.inputs)}},
            output_config={
                "predictions_format": "jsonl",
                "gcs_destination": {"output_uri_prefix": order.output},
            },
            instance_config={"instance_type": "object", "key_field": order.key},
            dedicated_resources={
                "machine_spec": {"machine_type": order.machine_type},
                "starting_replica_count": 1,
                "max_replica_count": 1,
            },
        )
        return _batch_job(
            self._door(
                "vertex.create_batch_job",
                lambda: self._jobs.create_batch_prediction_job(
                    parent=self._parent, batch_prediction_job=job, retry=None, timeout=_CALL_TIMEOUT_SECONDS
                ),
            )
        )

    def batch_job(self, name: str) -> Job:
        return _batch_job(
            self._door(
                "vertex.get_batch_job",
                lambda: self._jobs.get_batch_prediction_job(name=name, timeout=_CALL_TIMEOUT_SECONDS),
            )
        )

    def cancel_batch_job(self, name: str) -> None:
        self._door(
            "vertex.cancel_batch_job",
            lambda: self._jobs.cancel_batch_prediction_job(name=name, timeout=_CALL_TIMEOUT_SECONDS),
        )

    def versions(self, model: str) -> list[Version]:
        name = f"{self._parent}/models/{model}"
        try:
            found = self._door(
                "vertex.list_versions",
                lambda: list(self._models.list_model_versions(name=name, timeout=_CALL_TIMEOUT_SECONDS)),
            )
        except Refused as refused:
            if not refused.absent:
                raise
            return []
        return sorted((_version(name, version) for version in found), key=lambda version: int(version.number))

    def upload(self, order: VersionOrder) -> Operation:
        exists = bool(self.versions(order.model))
        container = {
            "image_uri": order.image,
            "env": [{"name": name, "value": value} for name, value in sorted(order.variables.items())],
            "predict_route": "/predict",
            "health_route": "/health",
            "ports": [{"container_port": 8080}],
        }
        model = {
            "display_name": order.model,
            "labels": dict(order.labels),
            "container_spec": container,
            "artifact_uri": order.artefacts,
        }
        request: dict[str, Any] = {"parent": self._parent, "model": model}
        if exists:
            # Without an alias of its own the new version would become what `models/M` means.
            request["parent_model"] = f"{self._parent}/models/{order.model}"
            model["version_aliases"] = [f"run-{order.labels['serin-run']}"]
        else:
            request["model_id"] = order.model
        started = self._door(
            "vertex.upload",
            lambda: self._models.upload_model(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return _operation(started.operation)

    def recipe(self, version: str) -> VersionOrder:
        found = self._door(
            "vertex.get_version", lambda: self._models.get_model(name=version, timeout=_CALL_TIMEOUT_SECONDS)
        )
        return VersionOrder(
            model=version.split("/models/")[1].split("@")[0],
            image=found.container_spec.image_uri,
            artefacts=found.artifact_uri,
            labels=dict(found.labels),
            variables={variable.name: variable.value for variable in found.container_spec.env},
        )

    def make_default(self, version: str) -> None:
        self._door(
            "vertex.make_default",
            lambda: self._models.merge_version_aliases(
                name=version, version_aliases=[_DEFAULT], timeout=_CALL_TIMEOUT_SECONDS
            ),
        )

    def delete_version(self, version: str) -> None:
        self._door(
            "vertex.delete_version",
            lambda: self._models.delete_model_version(name=version, timeout=_CALL_TIMEOUT_SECONDS),
        )

    def endpoint(self, endpoint: str) -> Endpoint | None:
        try:
            found = self._door(
                "vertex.get_endpoint",
                lambda: self._endpoints.get_endpoint(name=self._path(endpoint), timeout=_CALL_TIMEOUT_SECONDS),
            )
        except Refused as refused:
            if not refused.absent:
                raise
            return None
        return _endpoint(found)

    def create_endpoint(self, endpoint: str) -> Operation:
        request = {"parent": self._parent, "endpoint": {"display_name": endpoint}, "endpoint_id": endpoint}
        started = self._door(
            "vertex.create_endpoint",
            lambda: self._endpoints.create_endpoint(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return _operation(started.operation)

    def deploy(
        self, endpoint: str, deployed_model: str, version: str, machine: Machine, split: Mapping[str, int]
    ) -> Operation:
        resources = {
            "machine_spec": {"machine_type": machine.machine_type},
            "min_replica_count": machine.replicas[0],
            "max_replica_count": machine.replicas[1],
        }
        deployment = {
            "id": deployed_model,
            "model": version,
            "dedicated_resources": resources,
            "service_account": self._environment.serving_service_account or "",
        }
        request = {"endpoint": self._path(endpoint), "deployed_model": deployment, "traffic_split": dict(split)}
        started = self._door(
            "vertex.deploy",
            lambda: self._endpoints.deploy_model(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return _operation(started.operation)

    def undeploy(self, endpoint: str, deployed_model: str) -> Operation:
        request = {"endpoint": self._path(endpoint), "deployed_model_id": deployed_model}
        started = self._door(
            "vertex.undeploy",
            lambda: self._endpoints.undeploy_model(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return _operation(started.operation)

    def set_split(self, endpoint: Endpoint, split: Mapping[str, int]) -> Endpoint:
        wanted = {"name": endpoint.name, "etag": endpoint.etag, "traffic_split": dict(split)}
        request = {"endpoint": wanted, "update_mask": {"paths": ["traffic_split"]}}
        changed = self._door(
            "vertex.set_split",
            lambda: self._endpoints.update_endpoint(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return _endpoint(changed)

    def predict(self, endpoint: str, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        from google.protobuf import json_format, struct_pb2

        kind = self._api.PredictRequest
        request = kind.wrap(
            kind.pb()(
                endpoint=self._path(endpoint),
                instances=[json_format.ParseDict(instance, struct_pb2.Value()) for instance in instances],
                parameters=json_format.ParseDict(dict(parameters), struct_pb2.Value()),
            )
        )
        answered = self._door(
            "vertex.predict",
            lambda: self._predictions.predict(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return [json_format.MessageToDict(prediction) for prediction in type(answered).pb(answered).predictions]

    def address(self, endpoint: str) -> Address:
        base = self._environment.vertex_endpoint or f"https://{self._environment.region}-aiplatform.googleapis.com"
        return Address(f"{base}/v1/{self._path(endpoint)}:predict", access_header(base))

    def operation(self, name: str) -> Operation:
        return _operation(
            self._door(
                "vertex.get_operation",
                lambda: self._endpoints.get_operation(request={"name": name}, timeout=_CALL_TIMEOUT_SECONDS),
            )
        )

    def _path(self, endpoint: str) -> str:
        return f"{self._parent}/endpoints/{endpoint}"


def _job(job: Any) -> Job:
    return Job(
        name=job.name,
        state=job.state.name.removeprefix("JOB_STATE_"),
        created=job.create_time,
        labels=dict(job.labels),
        error=job.error.message,
        began=job.start_time,
    )


def _version(model: str, found: Any) -> Version:
    endpoints = frozenset(each.endpoint.rsplit("/", 1)[-1] for each in found.deployed_models)
    return Version(f"{model}@{found.version_id}", dict(found.labels), _DEFAULT in found.version_aliases, endpoints)


def _batch_job(job: Any) -> Job:
    return replace(_job(job), output=job.output_info.gcs_output_directory)


def _with_labels(labels: Mapping[str, str]) -> str:
    return " AND ".join(f"labels.{name}={value}" for name, value in sorted(labels.items()))


def _endpoint(endpoint: Any) -> Endpoint:
    return Endpoint(
        name=endpoint.name,
        etag=endpoint.etag,
        split=dict(endpoint.traffic_split),
        deployed={each.id: f"{each.model.split('@')[0]}@{each.model_version_id}" for each in endpoint.deployed_models},
    )


def _operation(operation: Any) -> Operation:
    error = operation.error.message if operation.HasField("error") else ""
    return Operation(operation.name, bool(operation.done), error, _ended(operation) if operation.done else None)


def _ended(operation: Any) -> datetime | None:
    from google.cloud import aiplatform_v1

    # Every operation's metadata begins with the generic part, of whatever kind it is.
    told = aiplatform_v1.UploadModelOperationMetadata.deserialize(operation.metadata.value)
    ended: datetime | None = told.generic_metadata.update_time
    return ended
