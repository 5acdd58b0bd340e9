"""Every API but Cloud Storage: resources are created, read, listed, patched and deleted under their full names."""

import re
from collections.abc import Callable

from tests.deploy.loopback.kinds import KINDS, PROJECT_DOCUMENT, digest_of
from tests.deploy.loopback.state import NUMBER, PROJECT, Document, Query, Refused, State

_KNATIVE = re.compile(r"apis/[\w.]+/v1/")
_VERSION = re.compile(r"v\d\w*/")


class Apis:
    """The REST APIs whose paths are a version and a resource's name, with a verb after a colon for what is no CRUD."""

    def __init__(self, state: State, url: Callable[[], str]) -> None:
        self._state = state
        self._url = url
        self._operations: dict[str, Document] = {}

    def answer(self, method: str, path: str, query: Query, body: Document) -> Document:
        """One request; `path` is without its leading slash."""
        if knative := _KNATIVE.match(path):
            return self._knative(method, path[knative.end() :])
        version = _VERSION.match(path)
        if not version:
            raise Refused(404, "NOT_FOUND", f"{method} /{path} is not part of these APIs.")
        name = path[version.end() :].replace("projects/-/", f"projects/{PROJECT}/")
        name = re.sub(f"^projects/{NUMBER}(?=[/:]|$)", f"projects/{PROJECT}", name)
        name, _, verb = name.partition(":")
        name = re.sub("^projects/([^/]+)$", f"projects/{PROJECT}", name) if not verb else name
        if verb:
            return self._verb(name, verb, body)
        if name == f"projects/{PROJECT}" and method == "GET":
            return PROJECT_DOCUMENT
        if name.startswith(f"projects/{PROJECT}/services"):
            return self._services(name)
        if name.endswith("/runtimes"):
            return {"runtimes": [{"name": "python311", "environment": "GEN_2", "stage": "GA", "state": "GA"}]}
        if "/operations/" in name:
            return self._operations[name]
        return self._plain(method, name, query, body)

    def _plain(self, method: str, name: str, query: Query, body: Document) -> Document:
        last = name.rpartition("/")[2]
        if last in KINDS:
            return self._collection(method, name, last, query, body)
        kind = KINDS.get(name.split("/")[-2])
        if kind is None:
            raise Refused(404, "NOT_FOUND", f"{method} {name} is not part of these APIs.")
        if method == "GET":
            return self._state.found(name)
        if method == "PUT" and name in self._state.resources and "/metrics/" not in name:
            raise Refused(409, "ALREADY_EXISTS", f"Resource already exists in the project (resource={name}).")
        act = {"PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}[method]
        made = act(name, query, body)
        return self._done(name, made) if kind.operation else made

    def _collection(self, method: str, name: str, last: str, query: Query, body: Document) -> Document:
        kind = KINDS[last]
        if method == "GET":
            return {kind.listed or last: self._state.below(name)}
        made = self._state.made(name, kind, query, body)
        self._made(made["name"], made)
        if last == "builds":
            return {**self._done(made["name"], made), "metadata": {"build": made}}
        return self._done(made["name"], made) if kind.operation else made

    def _put(self, name: str, _query: Query, body: Document) -> Document:
        kind = KINDS[name.split("/")[-2]]
        if name in self._state.resources:
            self._state.resources[name] = {**body, "name": name}
            return self._state.resources[name]
        return self._state.put(name, kind, body)

    def _patch(self, name: str, query: Query, body: Document) -> Document:
        inner = name.split("/")[-2].removesuffix("s")
        found = self._state.patched(name, query, body.get(inner, body))
        found.update(KINDS[name.split("/")[-2]].added(name, found))
        return found

    def _delete(self, name: str, _query: Query, _body: Document) -> Document:
        if self._state.found(name).get("deployedModels"):
            raise Refused(400, "FAILED_PRECONDITION", "The endpoint has deployed models.")
        self._state.deleted(name)
        if "/functions/" in name:
            self._state.deleted(name.replace("/functions/", "/services/"))
        return {}

    def _made(self, name: str, made: Document) -> None:
        for image in made.get("images", []) if "/builds/" in name else ():
            self._push(image)
        if "/functions/" in name:  # which runs as a service of Cloud Run
            self._state.put(name.replace("/functions/", "/services/"), KINDS["services"], {})

    def _push(self, image: str) -> None:
        host, project, repository, tagged = image.split("/")
        package, tag = tagged.split(":")
        place = f"projects/{project}/locations/{host.removesuffix('-docker.pkg.dev')}/repositories/{repository}"
        name = f"{place}/packages/{package}/tags/{tag}"
        version = f"{place}/packages/{package}/versions/{digest_of(image)}"
        self._state.found(place)
        self._state.resources[name] = {"name": name, "version": version}

    def _knative(self, method: str, name: str) -> Document:
        """Services and jobs as gcloud asks Cloud Run for them: by the form of Knative."""
        if name.split("/")[-1] in ("services", "jobs"):
            return {"items": self._state.below(name)}
        return self._state.deleted(name) if method == "DELETE" else self._state.found(name)

    def _undeployed(self, name: str, body: Document) -> Document:
        endpoint, gone = self._state.found(name), body["deployedModelId"]
        split = body.get("trafficSplit") or {
            key: share for key, share in endpoint["trafficSplit"].items() if key != gone
        }
        if sum(split.values()) not in (0, 100):
            raise Refused(400, "FAILED_PRECONDITION", "The traffic split must add up to 100.")
        endpoint["trafficSplit"] = split
        endpoint["deployedModels"] = [each for each in endpoint["deployedModels"] if each["id"] != gone]
        return self._done(name, {})

    def _verb(self, name: str, verb: str, body: Document) -> Document:
        if verb in ("getIamPolicy", "setIamPolicy"):
            if name.count("/") > 1:
                self._state.found(name)
            return self._state.policy(name) if verb == "getIamPolicy" else self._bound(name, body["policy"])
        if verb == "undelete":
            return self._undeleted(name)
        if verb == "undeployModel":
            return self._undeployed(name, body)
        if verb == "cancel":
            self._state.found(name)["state"] = "JOB_STATE_CANCELLED"
            return {}
        if verb == "batchEnable":
            self._state.services.update(body["serviceIds"])
        if verb == "enable":
            self._state.services.add(name.rpartition("/")[2])
        if verb == "generateUploadUrl":
            storage = {"bucket": f"gcf-v2-uploads-{NUMBER}", "object": "source.zip"}
            return {"uploadUrl": f"{self._url()}/upload-source", "storageSource": storage}
        if verb == "generateServiceIdentity":
            kind = name.rpartition("/")[2].split(".")[0]
            agent = f"service-{NUMBER}@gcp-sa-{kind}.iam.gserviceaccount.com"
            self._state.grant(f"projects/{PROJECT}", f"roles/{kind}.serviceAgent", f"serviceAccount:{agent}")
            return self._done(name, {"email": agent, "uniqueId": "1"})
        return self._done(name, {})

    def _bound(self, name: str, policy: Document) -> Document:
        """The policy that is wanted, if every role of the project's own that it names is there."""
        for role in [each["role"] for each in policy.get("bindings", []) if each["role"].startswith("projects/")]:
            if self._state.resources.get(role, {"deleted": True}).get("deleted"):
                raise Refused(400, "INVALID_ARGUMENT", f"Role ({role}) does not exist in the resource's hierarchy.")
        return self._state.set_policy(name, policy)

    def _undeleted(self, name: str) -> Document:
        found = self._state.found(name)
        if not found.pop("deleted", False):
            raise Refused(400, "FAILED_PRECONDITION", f"The role {name} is not deleted.")
        return found

    def _services(self, name: str) -> Document:
        def shown(service: str) -> Document:
            state = "ENABLED" if service in self._state.services else "DISABLED"
            full = f"projects/{NUMBER}/services/{service}"
            return {"name": full, "state": state, "config": {"name": service}}

        if name.endswith("/services"):
            return {"services": [shown(each) for each in sorted(self._state.services)]}
        return shown(name.rpartition("/")[2])

    def _done(self, name: str, response: Document) -> Document:
        place = "/".join(name.split("/")[:4]) if "/locations/" in name else f"projects/{PROJECT}"
        operation = f"{place}/operations/{len(self._operations) + 1}"
        self._operations[operation] = {"name": operation, "metadata": {}, "done": True, "response": response}
        return self._operations[operation]
