"""Endpoints: deployed models and the traffic split, with the rules by which Vertex AI refuses."""

import random
import re
from collections.abc import Mapping
from typing import Any

from local.errors import CloudError, Status
from local.vertex.documents import Document, Documents
from local.vertex.jobs import now
from local.vertex.operations import Operations
from local.vertex.registry import Registry
from local.vertex.serving import Serving

_ENDPOINT_ID = re.compile(r"[a-z][a-z0-9-]{0,62}|[1-9][0-9]{0,8}")
_DEPLOYED_ID = re.compile(r"[1-9][0-9]{0,9}")
_ALL = 100
_NEW = "0"  # in a split: the model that is being deployed


class Endpoints:
    """The endpoints of every project."""

    def __init__(self, documents: Documents, operations: Operations, registry: Registry, serving: Serving) -> None:
        self._documents = documents
        self._operations = operations
        self._registry = registry
        self._serving = serving
        operations.register("create-endpoint", self._created, "Endpoint", "CreateEndpointOperationMetadata")
        operations.register("deploy", self._deployed, "DeployModelResponse", "DeployModelOperationMetadata")
        operations.register("undeploy", self._undeployed, "UndeployModelResponse", "UndeployModelOperationMetadata")

    def resume(self) -> None:
        """Has every deployed model served again."""
        for endpoint in self._documents.every("endpoint"):
            for deployed in endpoint["deployedModels"]:
                version = self._registry.get(f"{deployed['model']}@{deployed['modelVersionId']}")
                self._serving.restore(endpoint["name"], deployed["id"], version)

    def create(self, parent: str, identity: str, wanted: Document) -> Document:
        identity = identity or str(self._documents.number())
        name = f"{parent}/endpoints/{identity}"
        if not _ENDPOINT_ID.fullmatch(identity):
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid endpoint id: {identity}")
        with self._documents.lock:
            if self._documents.find("endpoint", name) is not None:
                raise CloudError(Status.ALREADY_EXISTS, f"The Endpoint exists already: {name}")
            document = {**wanted, "name": name, "deployedModels": [], "trafficSplit": {}, "createTime": now()}
            self._documents.put("endpoint", name, {**document, "etag": self._etag()})
        return self._operations.start(parent, "create-endpoint", {"endpoint": name})

    def get(self, name: str) -> Document:
        return self._documents.get("endpoint", name)

    def every(self, parent: str) -> list[Document]:
        return [each for each in self._documents.every("endpoint") if each["name"].startswith(f"{parent}/")]

    def delete(self, parent: str, name: str) -> Document:
        if self.get(name)["deployedModels"]:
            raise CloudError(Status.FAILED_PRECONDITION, "The endpoint has deployed models.")
        self._documents.delete("endpoint", name)
        return self._operations.start(parent, "nothing", {})

    def patch(self, name: str, wanted: Mapping[str, Any], mask: str) -> Document:
        """Changes the masked fields at once; an etag that is not the endpoint's is ABORTED."""
        paths = [re.sub("_(.)", lambda match: match[1].upper(), path) for path in mask.split(",") if path]
        if not paths or not set(paths) <= {"trafficSplit", "displayName", "labels", "description"}:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid update mask: {mask}")

        def changed(endpoint: Document) -> None:
            if wanted.get("etag") and wanted["etag"] != endpoint["etag"]:
                raise CloudError(Status.ABORTED, "The endpoint has changed: its etag is another.")
            if "trafficSplit" in paths:
                split = {key: int(share) for key, share in (wanted.get("trafficSplit") or {}).items()}
                _check_split(split, {each["id"] for each in endpoint["deployedModels"]})
            endpoint |= {path: wanted.get(path) for path in paths if path != "trafficSplit"}
            if "trafficSplit" in paths:
                endpoint["trafficSplit"] = split
            endpoint["etag"] = self._etag()

        return self._documents.change("endpoint", name, changed)

    def deploy(self, name: str, request: Mapping[str, Any]) -> Document:
        deployed = dict(request.get("deployedModel") or {})
        deployed["id"] = str(deployed.get("id") or self._documents.number())
        split = {key: int(share) for key, share in (request.get("trafficSplit") or {}).items()}
        if not _DEPLOYED_ID.fullmatch(deployed["id"]):
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid deployed model id: {deployed['id']}")
        version = self._registry.get(deployed.get("model", ""))
        deployed |= {"model": version["name"], "modelVersionId": version["versionId"]}
        with self._documents.lock:
            endpoint = self._free(name)
            standing = {each["id"] for each in endpoint["deployedModels"]}
            if deployed["id"] in standing:
                raise CloudError(Status.ALREADY_EXISTS, f"The deployed model id is in use: {deployed['id']}")
            if split:
                _check_split(split, {*standing, _NEW})
            arguments = {"endpoint": name, "deployed": deployed, "split": split}
            return self._operations.start(_parent(name), "deploy", arguments)

    def undeploy(self, name: str, request: Mapping[str, Any]) -> Document:
        identity = str(request.get("deployedModelId") or "")
        split = {key: int(share) for key, share in (request.get("trafficSplit") or {}).items()}
        with self._documents.lock:
            endpoint = self._free(name)
            standing = {each["id"] for each in endpoint["deployedModels"]}
            if identity not in standing:
                raise CloudError(Status.NOT_FOUND, f"The deployed model does not exist: {identity}")
            shares = split or endpoint["trafficSplit"]
            if shares.get(identity) and len(standing) > 1:
                raise CloudError(Status.FAILED_PRECONDITION, f"The deployed model {identity} still has traffic.")
            arguments = {"endpoint": name, "id": identity, "split": split}
            return self._operations.start(_parent(name), "undeploy", arguments)

    def routed(self, name: str) -> tuple[Document, str]:
        """The deployed model that this request goes to, drawn by the split, and its address."""
        endpoint = self.get(name)
        split = {key: share for key, share in endpoint["trafficSplit"].items() if share}
        if not split:
            raise CloudError(Status.FAILED_PRECONDITION, "The endpoint has no deployed model with traffic.")
        (identity,) = random.choices(list(split), list(split.values()))
        deployed = next(each for each in endpoint["deployedModels"] if each["id"] == identity)
        return deployed, self._serving.address(name, identity)

    def uses(self, version: str) -> bool:
        """Whether a version is deployed anywhere."""
        return any(
            f"{deployed['model']}@{deployed['modelVersionId']}" == version
            for endpoint in self._documents.every("endpoint")
            for deployed in endpoint["deployedModels"]
        )

    def _free(self, name: str) -> Document:
        """The endpoint, unless one of its operations is under way."""
        endpoint = self.get(name)
        if any(self._operations.under_way(kind, "endpoint", name) for kind in ("deploy", "undeploy")):
            raise CloudError(Status.FAILED_PRECONDITION, "Another operation is under way on this endpoint.")
        return endpoint

    def _created(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self.get(arguments["endpoint"])

    def _deployed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        name, deployed = arguments["endpoint"], arguments["deployed"]
        version = self._registry.get(f"{deployed['model']}@{deployed['modelVersionId']}")
        self._serving.deploy(name, deployed["id"], version)

        def added(endpoint: Document) -> None:
            endpoint["deployedModels"].append({**deployed, "createTime": now()})
            if arguments["split"]:
                shares = arguments["split"].items()
                endpoint["trafficSplit"] = {deployed["id"] if key == _NEW else key: share for key, share in shares}
            endpoint["etag"] = self._etag()

        self._documents.change("endpoint", name, added)
        return {"deployedModel": deployed}

    def _undeployed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        name, identity = arguments["endpoint"], arguments["id"]

        def removed(endpoint: Document) -> None:
            endpoint["deployedModels"] = [each for each in endpoint["deployedModels"] if each["id"] != identity]
            shares = arguments["split"] or endpoint["trafficSplit"]
            left = {key: share for key, share in shares.items() if key != identity}
            endpoint["trafficSplit"] = left if endpoint["deployedModels"] else {}
            endpoint["etag"] = self._etag()

        self._documents.change("endpoint", name, removed)
        self._serving.undeploy(name, identity)
        return {}

    def _etag(self) -> str:
        return f"AMEw9y{self._documents.number()}"


def _parent(name: str) -> str:
    return name.split("/endpoints/")[0]


def _check_split(split: Mapping[str, int], deployed: set[str]) -> None:
    if split and sum(split.values()) != _ALL:
        raise CloudError(Status.INVALID_ARGUMENT, "The traffic split must add up to 100.")
    if unknown := sorted(set(split) - deployed):
        raise CloudError(Status.INVALID_ARGUMENT, f"The traffic split names what is not deployed: {unknown}")
