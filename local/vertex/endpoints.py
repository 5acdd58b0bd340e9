"""Endpoints: deployed models and the traffic split. Whatever changes an endpoint changes its etag."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from local import fields
from local.documents import Documents, public, timestamp
from local.errors import CloudError, Status
from local.fields import Document
from local.vertex import traffic
from local.vertex.filters import parsed
from local.vertex.operations import EMPTY, Arguments, Operations, Work, message_type
from local.vertex.registry import Registry
from local.vertex.serving import Replica, Serving
from local.vertex.switches import Switches

_ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[1-9][0-9]{0,8}")
_DEPLOYED_ID = re.compile(r"[0-9]{1,10}")
_FILTER_FIELDS = frozenset({"displayName", "createTime", "updateTime"})
_CHANGEABLE = ("trafficSplit", "displayName", "description", "labels")


@dataclass(frozen=True)
class Arm:
    """One deployed model that gets traffic, and what its answers say about it."""

    replica: Replica
    told: Mapping[str, str]


@dataclass(frozen=True)
class Route:
    """An endpoint's split, ready to be drawn from."""

    arms: Sequence[Arm]
    cumulative_percents: Sequence[int]


class Endpoints:
    """The endpoints of every project."""

    def __init__(
        self,
        documents: Documents,
        operations: Operations,
        registry: Registry,
        serving: Serving,
        switches: Switches,
        chance: random.Random,
    ) -> None:
        self._documents = documents
        self._operations = operations
        self._registry = registry
        self._serving = serving
        self._switches = switches
        self._chance = chance
        self._routes: dict[str, Route] = {}
        operations.register("deploy", Work(self._deployed, "DeployModelResponse", "DeployModelOperationMetadata"))
        operations.register(
            "undeploy", Work(self._undeployed, "UndeployModelResponse", "UndeployModelOperationMetadata")
        )

    def resume(self) -> None:
        """Has every deployed model served again."""
        for endpoint in self._documents.all_of("Endpoint"):
            for deployed in endpoint["deployedModels"]:
                self._serving.keep(endpoint["name"], deployed["id"], self._version(deployed))

    def create(self, parent: str, identity: str, wanted: Document) -> Document:
        if identity and not _ENDPOINT_ID.fullmatch(identity):
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid endpoint id: {identity}")
        fields.required_text(wanted, "displayName")
        fields.labels(wanted)
        name = f"{parent}/endpoints/{identity or self._documents.number()}"
        if self._documents.find("Endpoint", name) is not None:
            raise CloudError(Status.ALREADY_EXISTS, f"The Endpoint {name} already exists.")
        given: Document = {key: wanted[key] for key in ("displayName", "description", "labels") if key in wanted}
        made = {**given, "name": name, "deployedModels": [], "trafficSplit": {}, "createTime": timestamp()}
        endpoint = self._saved(made)
        response = {"@type": message_type("Endpoint"), **public(endpoint)}
        return self._operations.done(name, "CreateEndpointOperationMetadata", response)

    def get(self, name: str) -> Document:
        return public(self._documents.get("Endpoint", name))

    def every(self, parent: str, query: Mapping[str, str]) -> list[Document]:
        """The endpoints that meet the filter, newest first."""
        meets = parsed(query.get("filter", ""), _FILTER_FIELDS)
        return [public(each) for each in reversed(self._documents.every("Endpoint", parent)) if meets(each)]

    def delete(self, name: str) -> Document:
        if self._unoccupied(name)["deployedModels"]:
            raise CloudError(Status.FAILED_PRECONDITION, f"The Endpoint {name} has deployed models.")
        self._documents.delete("Endpoint", name)
        self._routes.pop(name, None)
        return self._operations.done(name, "DeleteOperationMetadata", {"@type": EMPTY})

    def patch(self, name: str, wanted: Document, query: Mapping[str, str]) -> Document:
        """Changes the masked fields at once; refused under an etag that is not the endpoint's."""
        endpoint = self._documents.get("Endpoint", name)
        paths = fields.mask(query)
        if not paths or not set(paths) <= set(_CHANGEABLE):
            raise CloudError(Status.INVALID_ARGUMENT, f"The update mask must name some of {', '.join(_CHANGEABLE)}.")
        etag = fields.text(wanted, "etag")
        if etag and etag != endpoint["etag"] and self._switches.honours_etags:
            raise CloudError(self._switches.changed_endpoint, "The Endpoint has changed: its etag is another.")
        return public(self._saved({**endpoint, **_changes(wanted, paths, _ids(endpoint))}))

    def deploy(self, name: str, request: Document) -> Document:
        """Begins a deployment: the container is started, and enters the endpoint when it is healthy."""
        endpoint = self._documents.get("Endpoint", name)
        deployed = fields.part(request, "deployedModel")
        identity = fields.text(deployed, "id") or str(self._documents.number())
        if not _DEPLOYED_ID.fullmatch(identity) or identity == traffic.NEW:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid deployed model id: {identity}")
        version = self._registry.version(fields.required_text(deployed, "model"))
        if identity in _ids(endpoint):
            status = self._switches.repeated_deployed_model
            raise CloudError(status, f"The Endpoint has a DeployedModel with id {identity} already.")
        split = traffic.checked(fields.split(request), {*_ids(endpoint), traffic.NEW})
        self._unoccupied(name)
        made = {**deployed, "id": identity, "model": version["name"], "modelVersionId": version["versionId"]}
        arguments = {"endpoint": name, "deployed": made, "split": split}
        return self._operations.begin(name, "deploy", arguments)

    def undeploy(self, name: str, request: Document) -> Document:
        """Takes a deployed model out of the endpoint, then ends its container."""
        endpoint = self._unoccupied(name)
        identity = fields.required_text(request, "deployedModelId")
        if identity not in _ids(endpoint):
            raise CloudError(Status.NOT_FOUND, f"The Endpoint has no DeployedModel with id {identity}.")
        standing, asked = endpoint["trafficSplit"], fields.split(request)
        split = traffic.after_undeploy(standing, asked, identity, _ids(endpoint))
        left = [each for each in endpoint["deployedModels"] if each["id"] != identity]
        # The operation first: killed in between, the next start finds it and the model still deployed.
        operation = self._operations.begin(name, "undeploy", {"endpoint": name, "id": identity, "split": split})
        self._saved({**endpoint, "deployedModels": left, "trafficSplit": split})
        return operation

    def drawn(self, name: str) -> Arm:
        """The deployed model that this request goes to, drawn by the split."""
        route = self._routes.get(name) or self._route(name)
        return self._chance.choices(route.arms, cum_weights=route.cumulative_percents)[0]

    def _route(self, name: str) -> Route:
        endpoint = self._documents.get("Endpoint", name)
        split = {key: percent for key, percent in endpoint["trafficSplit"].items() if percent}
        if not split:
            raise CloudError(Status.FAILED_PRECONDITION, f"The Endpoint {name} has no deployed model with traffic.")
        arms = [self._arm(name, each) for each in endpoint["deployedModels"] if each["id"] in split]
        route = Route(arms, list(accumulate(split[arm.told["deployedModelId"]] for arm in arms)))
        self._routes[name] = route
        return route

    def _arm(self, endpoint: str, deployed: Document) -> Arm:
        told = {
            "deployedModelId": deployed["id"],
            "model": deployed["model"],
            "modelDisplayName": self._version(deployed)["displayName"],
            "modelVersionId": deployed["modelVersionId"],
        }
        return Arm(self._serving.replica(endpoint, deployed["id"]), told)

    def _version(self, deployed: Document) -> Document:
        return self._registry.version(f"{deployed['model']}@{deployed['modelVersionId']}")

    def _unoccupied(self, name: str) -> Document:
        """The endpoint, unless one of its operations is under way."""
        endpoint = self._documents.get("Endpoint", name)
        if self._operations.under_way(name):
            raise CloudError(Status.FAILED_PRECONDITION, f"Another operation is under way on the Endpoint {name}.")
        return endpoint

    async def _deployed(self, arguments: Arguments) -> Document:
        name, deployed = arguments["endpoint"], arguments["deployed"]
        replica = self._serving.keep(name, deployed["id"], self._version(deployed))
        try:
            await replica.ready(self._switches.ready_seconds)
        except CloudError:
            await self._serving.drop(name, deployed["id"])
            raise
        endpoint = self._documents.get("Endpoint", name)
        if deployed["id"] not in _ids(endpoint):
            standing = [*endpoint["deployedModels"], {**deployed, "createTime": timestamp()}]
            split = traffic.after_deploy(endpoint["trafficSplit"], arguments["split"], deployed["id"])
            self._saved({**endpoint, "deployedModels": standing, "trafficSplit": split})
        return {"deployedModel": deployed}

    async def _undeployed(self, arguments: Arguments) -> Document:
        name, identity = arguments["endpoint"], arguments["id"]
        endpoint = self._documents.get("Endpoint", name)
        if identity in _ids(endpoint):
            left = [each for each in endpoint["deployedModels"] if each["id"] != identity]
            self._saved({**endpoint, "deployedModels": left, "trafficSplit": arguments["split"]})
        await self._serving.drop(name, identity)
        return {}

    def _saved(self, endpoint: Document) -> Document:
        now = timestamp()
        saved = {**endpoint, "updateTime": now, "etag": f"AMEw9y{self._documents.number('etag')}"}
        self._documents.put("Endpoint", saved["name"], saved, saved["name"].rsplit("/", 2)[0])
        self._routes.pop(saved["name"], None)
        return saved


def _ids(endpoint: Document) -> set[str]:
    return {deployed["id"] for deployed in endpoint["deployedModels"]}


def _changes(wanted: Document, paths: Sequence[str], deployed: set[str]) -> Document:
    readers: dict[str, Callable[[], Any]] = {
        "trafficSplit": lambda: traffic.checked(fields.split(wanted), deployed),
        "displayName": lambda: fields.required_text(wanted, "displayName"),
        "description": lambda: fields.text(wanted, "description"),
        "labels": lambda: fields.labels(wanted),
    }
    return {path: readers[path]() for path in paths}
