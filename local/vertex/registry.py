"""The model registry: versions, aliases, and a copy of the artefacts made when a version is uploaded.

A model is one document that holds its versions, so that moving an alias from one version to another is one write.
"""

import re
from collections.abc import Mapping

from local import fields
from local.containers import Containers
from local.documents import Documents, public, timestamp
from local.errors import CloudError, Status
from local.fields import Document
from local.vertex.artefacts import Artefacts
from local.vertex.deployments import deployments_of
from local.vertex.filters import parsed
from local.vertex.operations import EMPTY, Arguments, Operations, Work
from local.vertex.switches import NEW_VERSION, Switches

_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_ALIAS = re.compile(r"[a-z][a-zA-Z0-9-]{0,126}[a-z0-9]")
_DEFAULT = "default"
_FILTER_FIELDS = frozenset({"displayName", "createTime", "updateTime", "versionId"})
_ASSIGNED = frozenset({"name", "versionId", "createTime", "updateTime", "etag", "deployedModels"})


class Registry:
    """The models of every project."""

    def __init__(
        self,
        documents: Documents,
        operations: Operations,
        containers: Containers,
        artefacts: Artefacts,
        switches: Switches,
    ) -> None:
        self._documents = documents
        self._operations = operations
        self._containers = containers
        self._artefacts = artefacts
        self._switches = switches
        operations.register("upload", Work(self._uploaded, "UploadModelResponse", "UploadModelOperationMetadata"))

    def upload(self, parent: str, request: Document) -> Document:
        """Begins an upload: a new model under `modelId`, or one more version of `parentModel`."""
        model = fields.part(request, "model")
        self._check(model)
        name = self._name_for(parent, request)
        number = self._documents.number(f"versions of {name}", first=1)
        return self._operations.begin(name, "upload", {"name": name, "version": str(number), "model": model})

    def get(self, name: str) -> Document:
        """`models/M`, `models/M@V` or `models/M@alias`: that version, without a suffix the default one."""
        return self._shown(self.version(name))

    def version(self, name: str) -> Document:
        """The same with what is kept for ourselves."""
        model, _, suffix = name.partition("@")
        wanted = suffix or _DEFAULT
        for version in self._versions(model):
            if wanted in (version["versionId"], *version["versionAliases"]):
                return version
        raise CloudError(Status.NOT_FOUND, f"The Model {name} does not exist.")

    def versions(self, name: str, query: Mapping[str, str]) -> list[Document]:
        """All versions of a model that meet the filter, newest first."""
        found = self._versions(name.partition("@")[0])
        if not found:
            raise CloudError(Status.NOT_FOUND, f"The Model {name} does not exist.")
        meets = parsed(query.get("filter", ""), _FILTER_FIELDS)
        return [self._shown(version) for version in reversed(found) if meets(version)]

    def models(self, parent: str, query: Mapping[str, str]) -> list[Document]:
        """The default version of every model that meets the filter, newest model first."""
        meets = parsed(query.get("filter", ""), _FILTER_FIELDS)
        found = [self.version(model["name"]) for model in reversed(self._documents.every("Model", parent))]
        return [self._shown(version) for version in found if meets(version)]

    def merge_aliases(self, name: str, request: Document) -> Document:
        """Adds aliases to a version, `-alias` takes one away; an alias stands on one version only."""
        wanted = self.version(name)["versionId"]
        asked = fields.texts(request, "versionAliases")
        added = [alias for alias in asked if not alias.startswith("-")]
        removed = {alias[1:] for alias in asked if alias.startswith("-")}
        _check_aliases([*added, *removed])
        if not asked or _DEFAULT in removed:
            raise CloudError(Status.INVALID_ARGUMENT, "Name aliases; the default alias can be moved but not removed.")
        model = self._documents.get("Model", name.partition("@")[0])
        self._save(_with_aliases(model, wanted, added, removed))
        return self.get(f"{model['name']}@{wanted}")

    def delete_version(self, name: str) -> Document:
        version = self.version(name)
        model = self._documents.get("Model", name.partition("@")[0])
        if "@" not in name:
            raise CloudError(Status.INVALID_ARGUMENT, "The version to delete is not named.")
        self._refuse_deployed(version)
        if _DEFAULT in version["versionAliases"]:
            raise CloudError(Status.FAILED_PRECONDITION, f"{name} is the default version and cannot be deleted alone.")
        left = [each for each in model["_versions"] if each["versionId"] != version["versionId"]]
        self._save({**model, "_versions": left})
        return self._deleted(model["name"])

    def delete(self, name: str) -> Document:
        """Deletes a model with all its versions."""
        versions = self._versions(name)
        if not versions:
            raise CloudError(Status.NOT_FOUND, f"The Model {name} does not exist.")
        for version in versions:
            self._refuse_deployed(version)
        if self._operations.under_way(name):
            raise CloudError(Status.FAILED_PRECONDITION, f"The Model {name} has an operation under way.")
        self._documents.delete("Model", name)
        return self._deleted(name)

    def _check(self, model: Document) -> None:
        fields.required_text(model, "displayName")
        fields.labels(model)
        fields.text(model, "artifactUri")
        _check_aliases(fields.texts(model, "versionAliases"))
        container = fields.part(model, "containerSpec")
        self._containers.check(fields.required_text(container, "imageUri"))
        fields.environment(container)
        for route in ("predictRoute", "healthRoute"):
            if not (fields.text(container, route) or "/").startswith("/"):
                raise CloudError(Status.INVALID_ARGUMENT, f"The {route} does not begin with a slash.")

    def _name_for(self, parent: str, request: Document) -> str:
        more, identity = fields.text(request, "parentModel").partition("@")[0], fields.text(request, "modelId")
        name = more or f"{parent}/models/{identity or self._documents.number()}"
        exists = bool(self._versions(name))
        if more and not exists:
            raise CloudError(Status.NOT_FOUND, f"The Model {name} does not exist.")
        if more:
            return name
        if identity and not _MODEL_ID.fullmatch(identity):
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid model id: {identity}")
        if exists and self._switches.existing_model == NEW_VERSION:
            return name
        if exists or self._operations.under_way(name):
            raise CloudError(Status.ALREADY_EXISTS, f"The Model {name} already exists.")
        return name

    async def _uploaded(self, arguments: Arguments) -> Document:
        name, number, given = arguments["name"], arguments["version"], arguments["model"]
        place = "/".join([*name.split("/")[1::2], number])
        kept = await self._artefacts.copied(given.get("artifactUri") or "", place)
        model = self._documents.find("Model", name) or {"name": name, "_versions": [], "_created": timestamp()}
        if all(version["versionId"] != number for version in model["_versions"]):
            self._save(_with_version(model, number, {**given, "_artefacts": kept}))
        return {"model": name, "modelVersionId": number}

    def _versions(self, model: str) -> list[Document]:
        found = self._documents.find("Model", model)
        return [] if found is None else list(found["_versions"])

    def _shown(self, version: Document) -> Document:
        used = deployments_of(self._documents, version["name"], version["versionId"])
        return {**public(version), "deployedModels": used}

    def _refuse_deployed(self, version: Document) -> None:
        deploying = any(
            (each["deployed"]["model"], each["deployed"]["modelVersionId"]) == (version["name"], version["versionId"])
            for each in self._operations.arguments_under_way("deploy")
        )
        if deploying or deployments_of(self._documents, version["name"], version["versionId"]):
            told = f"{version['name']}@{version['versionId']}"
            raise CloudError(Status.FAILED_PRECONDITION, f"The Model {told} is deployed; undeploy it first.")

    def _deleted(self, owner: str) -> Document:
        return self._operations.done(owner, "DeleteOperationMetadata", {"@type": EMPTY})

    def _save(self, model: Document) -> None:
        self._documents.put("Model", model["name"], model, model["name"].rsplit("/", 2)[0])


def _with_version(model: Document, number: str, given: Document) -> Document:
    """The model with one more version, which is the default one if it is the first or asks for it."""
    now = timestamp()
    asked = given.get("versionAliases") or []
    aliases = [*dict.fromkeys([*asked, *([] if model["_versions"] else [_DEFAULT])])]
    version = {
        **{key: value for key, value in given.items() if key not in _ASSIGNED},
        "name": model["name"],
        "versionId": number,
        "versionAliases": [],
        "versionCreateTime": now,
        "versionUpdateTime": now,
        "createTime": model["_created"],
        "updateTime": now,
        "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
    }
    return _with_aliases({**model, "_versions": [*model["_versions"], version]}, number, aliases, set())


def _with_aliases(model: Document, number: str, added: list[str], removed: set[str]) -> Document:
    """The model with aliases moved to one version, or taken from it."""

    def aliases_of(version: Document) -> list[str]:
        mine = version["versionId"] == number
        gone = removed if mine else set(added)
        kept = [alias for alias in version["versionAliases"] if alias not in gone]
        return [*dict.fromkeys([*kept, *added])] if mine else kept

    versions = [{**version, "versionAliases": aliases_of(version)} for version in model["_versions"]]
    return {**model, "_versions": versions}


def _check_aliases(aliases: list[str]) -> None:
    for alias in aliases:
        if not _ALIAS.fullmatch(alias):
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid version alias: {alias}")
