"""The model registry: versions, aliases, and a copy of the artefacts made when a version is uploaded."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.errors import CloudError, Status
from local.vertex.containers import Containers
from local.vertex.documents import Document, Documents
from local.vertex.jobs import now
from local.vertex.operations import Operations

_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_DEFAULT = "default"
Copy = Callable[[str, str], str]


class Registry:
    """The models of every project; `copy(source, name)` keeps artefacts and answers where."""

    def __init__(self, documents: Documents, operations: Operations, containers: Containers, copy: Copy) -> None:
        self._documents = documents
        self._operations = operations
        self._containers = containers
        self._copy = copy
        operations.register("upload", self._uploaded, "UploadModelResponse", "UploadModelOperationMetadata")

    def upload(self, parent: str, request: Mapping[str, Any]) -> Document:
        """Begins an upload: a new model under `modelId`, or one more version of `parentModel`."""
        model = dict(request.get("model") or {})
        image = model.get("containerSpec", {}).get("imageUri", "")
        if not model.get("displayName"):
            raise CloudError(Status.INVALID_ARGUMENT, "The model needs a display name.")
        self._containers.check(image)
        name = request.get("parentModel") or f"{parent}/models/{request.get('modelId') or self._documents.number()}"
        with self._documents.lock:
            version = self._reserve(name.split("@")[0], bool(request.get("parentModel")))
        arguments = {"name": name.split("@")[0], "version": version, "model": model}
        return self._operations.start(parent, "upload", arguments)

    def get(self, name: str) -> Document:
        """`models/M`, `models/M@V` or `models/M@alias`: that version, without a suffix the default one."""
        model, _, wanted = name.partition("@")
        for version in self._ready(self._documents.get("model", model)):
            if wanted in (version["versionId"], *version["versionAliases"]) or (
                not wanted and _DEFAULT in version["versionAliases"]
            ):
                return version
        raise CloudError(Status.NOT_FOUND, f"The Model does not exist: {name}")

    def versions(self, name: str) -> list[Document]:
        return self._ready(self._documents.get("model", name.split("@")[0]))

    def models(self, parent: str) -> list[Document]:
        """The default version of every model."""
        every = [model for model in self._documents.every("model") if model["name"].startswith(f"{parent}/")]
        return [self.get(model["name"]) for model in every if self._ready(model)]

    def merge_aliases(self, name: str, aliases: list[str]) -> Document:
        """Adds aliases to a version, `-alias` takes one away; an alias stands on one version only."""
        model, _, wanted = name.partition("@")
        self.get(name)

        def merged(document: Document) -> None:
            for version in document["versions"]:
                mine = version["versionId"] == wanted
                gone = {alias.lstrip("-") for alias in aliases if not mine or alias.startswith("-")}
                kept = [alias for alias in version["versionAliases"] if alias not in gone]
                added = [alias for alias in aliases if mine and not alias.startswith("-") and alias not in kept]
                version["versionAliases"] = kept + added

        self._documents.change("model", model, merged)
        return self.get(name)

    def delete_version(self, parent: str, name: str, deployed: bool) -> Document:
        if deployed:
            raise CloudError(Status.FAILED_PRECONDITION, f"The version {name} is deployed to an endpoint.")
        version = self.get(name)
        model, number = name.partition("@")[0], version["versionId"]
        if _DEFAULT in version["versionAliases"]:
            raise CloudError(Status.INVALID_ARGUMENT, "The default version of a model cannot be deleted alone.")

        def without(document: Document) -> None:
            document["versions"] = [each for each in document["versions"] if each["versionId"] != number]

        self._documents.change("model", model, without)
        return self._operations.start(parent, "nothing", {})

    def _reserve(self, name: str, more: bool) -> str:
        """Takes the next version number, so that an upload that is carried on after a kill makes no second version."""
        standing = self._documents.find("model", name)
        if more and standing is None:
            raise CloudError(Status.NOT_FOUND, f"The parent model does not exist: {name}")
        if not more and standing is not None:
            raise CloudError(Status.ALREADY_EXISTS, f"The model exists already: {name}")
        if not _MODEL_ID.fullmatch(name.rsplit("/", 1)[-1]) and not name.rsplit("/", 1)[-1].isdecimal():
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid model id: {name}")
        document = standing or {"name": name, "last": 0, "versions": []}
        document["last"] += 1
        self._documents.put("model", name, document)
        return str(document["last"])

    def _uploaded(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        name, number, model = arguments["name"], arguments["version"], arguments["model"]
        kept = self._copy(model.get("artifactUri", ""), f"{name.rsplit('/', 1)[-1]}/{number}")

        def added(document: Document) -> None:
            if any(version["versionId"] == number for version in document["versions"]):
                return
            asked = [alias for alias in model.get("versionAliases", []) if alias != _DEFAULT]
            default = not document["versions"] or _DEFAULT in model.get("versionAliases", [])
            if default:
                for version in document["versions"]:
                    version["versionAliases"] = [each for each in version["versionAliases"] if each != _DEFAULT]
            version = {
                **model,
                "name": name,
                "versionId": number,
                "versionAliases": [*asked, *([_DEFAULT] if default else [])],
                "versionCreateTime": now(),
                "createTime": now(),
                "_artefacts": kept,
            }
            document["versions"].append(version)

        self._documents.change("model", name, added)
        return {"model": name, "modelVersionId": number}

    def _ready(self, model: Document) -> list[Document]:
        return list(model["versions"])


def public(document: Document) -> Document:
    """A document without what is kept for ourselves."""
    return {key: value for key, value in document.items() if not key.startswith("_")}
