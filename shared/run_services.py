"""The thin door to Cloud Run's services: models served on revisions; always over the REST transport."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.door import Door
from shared.errors import Conflict, Refused, Transient
from shared.identity import identity_header, rest_client
from shared.run_traffic import (
    endpoint_of,
    instances_kept,
    revision_of,
    service_id,
    settled,
    standing,
    targets,
    versions,
    with_new,
)
from shared.serving import Address, Endpoint, Machine, Operation
from shared.vertex import VersionOrder, Vertex

if TYPE_CHECKING:
    from shared.environment import Environment

_CALL_TIMEOUT_SECONDS = 30.0
_LOOKS, _LOOK_SECONDS = 12, 0.5  # at a split until it is carried out; whoever asked looks again later
_TRIES = 5
_PORT = 8080
_STARTUP = {"http_get": {"path": "/health", "port": _PORT}, "period_seconds": 2, "failure_threshold": 120}


def _posted(address: Address, asked: Mapping[str, Any]) -> Any:
    """The answer's JSON; raises what a client of Google's raises for other statuses."""
    import requests
    from google.api_core.exceptions import from_http_status

    answer = requests.post(address.url, json=dict(asked), headers=address.headers, timeout=_CALL_TIMEOUT_SECONDS)
    if answer.status_code != HTTPStatus.OK:
        raise from_http_status(answer.status_code, answer.text[:1000])  # type: ignore[no-untyped-call]
    return answer.json()


@dataclass(frozen=True)
class Wires:
    """What it speaks through; without a client of its own, it makes Google's."""

    client: Any = None
    post: Callable[[Address, Mapping[str, Any]], Any] = _posted
    identify: Callable[[str], Mapping[str, str]] = identity_header
    sleep: Callable[[float], None] = time.sleep


class CloudRunServices:
    """Implements shared.serving.ServingBackend; the registry is Vertex AI's, also for what is served here."""

    def __init__(self, environment: "Environment", door: Door, vertex: Vertex, wires: Wires | None = None) -> None:
        self._environment = environment
        self._door = door
        self._vertex = vertex
        self._wires = wires or Wires()
        self._parent = f"projects/{environment.project}/locations/{environment.region}"

    @cached_property
    def _services(self) -> Any:
        if self._wires.client is not None:
            return self._wires.client
        from google.cloud import run_v2

        return rest_client(run_v2.ServicesClient, self._environment.run_endpoint)

    def endpoint(self, endpoint: str) -> Endpoint | None:
        service = self._find(endpoint)
        # A service is made by its first deployment, so none has to be created before.
        return endpoint_of(service) if service is not None else Endpoint(self._path(endpoint), "")

    def create_endpoint(self, endpoint: str) -> Operation:
        return Operation(self._path(endpoint), done=True)

    def deploy(
        self, endpoint: str, deployed_model: str, version: str, machine: Machine, split: Mapping[str, int]
    ) -> Operation:
        recipe, service = self._vertex.recipe(version), self._find(endpoint)
        shares = standing(service) if service is not None else {}
        if deployed_model in shares or (service is not None and service.reconciling):
            raise Conflict("run.deploy")
        wanted: dict[str, Any] = {
            **self._written(endpoint, with_new(shares, deployed_model, split)),
            "annotations": versions(service, {deployed_model: version}),
            "template": self._template(endpoint, deployed_model, recipe, machine),
        }
        if service is not None:
            return _operation(self._door("run.deploy", self._update(service, wanted)).operation)
        if self._environment.binary_authorization:
            wanted["binary_authorization"] = {"use_default": True}
        request = {"parent": self._parent, "service": wanted, "service_id": service_id(endpoint)}
        started = self._door(
            "run.create_service",
            lambda: self._services.create_service(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
        )
        return _operation(started.operation)

    def undeploy(self, endpoint: str, deployed_model: str) -> Operation:
        for _ in range(_TRIES):
            try:
                return self._undeployed(endpoint, deployed_model)
            except Conflict:
                continue
        raise Transient("run.undeploy", "others keep changing the service")

    def set_split(self, endpoint: Endpoint, split: Mapping[str, int]) -> Endpoint:
        name = endpoint.name.rsplit("/", 1)[-1]
        service = self._find(name)
        if service is None or service.etag != endpoint.etag:
            raise Conflict("run.set_split")
        shares = standing(service)
        if not set(split) <= set(shares):
            raise Refused("run.set_split", "status 400: the split names what is not deployed")
        wanted = self._written(name, {each: split.get(each, 0) for each in shares})
        self._door("run.set_split", self._update(service, wanted))
        return self._carried_out(name)

    def predict(self, endpoint: str, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        at, asked = self.address(endpoint), {"instances": list(instances), "parameters": dict(parameters)}
        return list(self._door("run.predict", lambda: self._wires.post(at, asked))["predictions"])

    def address(self, endpoint: str) -> Address:
        service = self._find(endpoint)
        if service is None:
            raise Refused("run.get_service", "status 404: nothing is deployed")
        headers = self._door("run.identity", lambda: self._wires.identify(service.uri))
        return Address(f"{service.uri}/predict", headers)

    def operation(self, name: str) -> Operation:
        return _operation(self._door("run.get_operation", lambda: self._services.get_operation(request={"name": name})))

    def _undeployed(self, endpoint: str, deployed_model: str) -> Operation:
        service = self._find(endpoint)
        if service is None or deployed_model not in {*standing(service), *endpoint_of(service).failed}:
            raise Refused("run.undeploy", f"status 404: {deployed_model} is not deployed")
        if service.reconciling:  # what starts would lose its place in the list that is written
            raise Refused("run.undeploy", "status 400: another order is under way")
        left = {each: share for each, share in standing(service).items() if each != deployed_model}
        if not left:
            # Somebody has to answer for a service: it goes with its last revision.
            started = self._door(
                "run.delete_service",
                lambda: self._services.delete_service(request={"name": service.name, "etag": service.etag}),
            )
            return _operation(started.operation)
        if endpoint_of(service).split.get(deployed_model):
            raise Refused("run.undeploy", f"status 400: {deployed_model} still has traffic")
        return _operation(self._door("run.undeploy", self._update(service, self._written(endpoint, left))).operation)

    def _written(self, endpoint: str, shares: Mapping[str, int]) -> dict[str, Any]:
        return {
            "traffic": targets(service_id(endpoint), shares),
            "scaling": {"min_instance_count": instances_kept(shares)},
        }

    def _update(self, service: Any, wanted: dict[str, Any]) -> Callable[[], Any]:
        """Changes the service if it still is as it was looked at."""
        request = {
            "service": {"name": service.name, "etag": service.etag, **wanted},
            "update_mask": {"paths": sorted(wanted)},
        }
        return lambda: self._services.update_service(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS)

    def _carried_out(self, endpoint: str) -> Endpoint:
        """The endpoint once the order is carried out, which takes seconds; else as it is after some."""
        for _ in range(_LOOKS):
            service = self._find(endpoint)
            if service is None:
                raise Conflict("run.set_split")
            if settled(service):
                break
            self._wires.sleep(_LOOK_SECONDS)
        return endpoint_of(service)

    def _template(self, endpoint: str, deployed_model: str, recipe: VersionOrder, machine: Machine) -> dict[str, Any]:
        told = {
            **recipe.variables,
            "AIP_STORAGE_URI": recipe.artefacts,
            "AIP_ENDPOINT_ID": endpoint,
            "AIP_DEPLOYED_MODEL_ID": deployed_model,
        }
        container = {
            "image": recipe.image,
            "env": [{"name": name, "value": value} for name, value in sorted(told.items())],
            "ports": [{"container_port": _PORT}],
            # Evidence is reported between requests, and an idle CPU would report nothing.
            "resources": {
                "limits": {"cpu": machine.cpu, "memory": machine.memory}, "cpu_idle": False, "startup_cpu_boost": True,
            },
            "startup_probe": _STARTUP,
        }  # fmt: skip
        return {
            "revision": revision_of(service_id(endpoint), deployed_model),
            "labels": {"managed-by": "serin", **recipe.labels},
            "scaling": {"max_instance_count": machine.replicas[1]},
            "service_account": self._environment.serving_service_account or "",
            "containers": [container],
        }

    def _find(self, endpoint: str) -> Any:
        try:
            return self._door("run.get_service", lambda: self._services.get_service(name=self._path(endpoint)))
        except Refused as refused:
            if not refused.absent:
                raise
            return None

    def _path(self, endpoint: str) -> str:
        return f"{self._parent}/services/{service_id(endpoint)}"


def _operation(operation: Any) -> Operation:
    return Operation(
        operation.name, bool(operation.done), operation.error.message if operation.HasField("error") else ""
    )
