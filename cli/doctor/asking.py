"""The looks of the deployment plan, asked of Google's REST APIs: reading them needs no gcloud and takes seconds.

The plan says what to look at in gcloud's words. Each of those that the plan uses has one route here, and answers as
gcloud would, so that the plan itself judges the answer.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from deploy.gcloud import Answer
from deploy.steps import Command

_TIMEOUT_SECONDS = 30.0
_IMAGE = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/([^:@]+)([:@])(.+)")
DISABLED = "SERVICE_DISABLED"
_FORMAT = re.compile(r"value\(([\w.]+)\)")


@dataclass(frozen=True)
class Route:
    """Where gcloud itself would ask: an API, and a path that is filled with the project, the name and the flags."""

    service: str
    path: str
    verb: str = "GET"


_HERE = "projects/{project}/locations/{region}{location}"
_ACCOUNT = "v1/projects/{project}/serviceAccounts/{name}"
_IMAGES = f"v1/{_HERE}/repositories/{{name}}"
_TOPIC, _SUBSCRIPTION = "v1/projects/{project}/topics/{name}", "v1/projects/{project}/subscriptions/{name}"
ROUTES: Mapping[str, Route] = {
    "services list": Route("serviceusage", "v1/projects/{project}/services?filter=state:ENABLED&pageSize=200"),
    "projects describe": Route("cloudresourcemanager", "v1/projects/{name}"),
    "projects get-iam-policy": Route("cloudresourcemanager", "v1/projects/{name}:getIamPolicy", "POST"),
    "iam service-accounts describe": Route("iam", _ACCOUNT),
    "iam service-accounts get-iam-policy": Route("iam", f"{_ACCOUNT}:getIamPolicy", "POST"),
    "iam roles describe": Route("iam", "v1/projects/{project}/roles/{name}"),
    "storage buckets describe": Route("storage", "storage/v1/b/{name}"),
    "storage buckets get-iam-policy": Route("storage", "storage/v1/b/{name}/iam"),
    "storage buckets notifications list": Route("storage", "storage/v1/b/{name}/notificationConfigs"),
    "storage service-agent": Route("storage", "storage/v1/projects/{project}/serviceAccount"),
    "pubsub topics describe": Route("pubsub", _TOPIC),
    "pubsub topics get-iam-policy": Route("pubsub", f"{_TOPIC}:getIamPolicy"),
    "pubsub subscriptions describe": Route("pubsub", _SUBSCRIPTION),
    "pubsub subscriptions get-iam-policy": Route("pubsub", f"{_SUBSCRIPTION}:getIamPolicy"),
    "artifacts repositories describe": Route("artifactregistry", _IMAGES),
    "artifacts repositories get-iam-policy": Route(
        "artifactregistry", f"v1/{_HERE}/repositories/{{name}}:getIamPolicy"
    ),
    "artifacts docker images describe": Route("artifactregistry", "v1/{image}"),
    "functions describe": Route("cloudfunctions", f"v2/{_HERE}/functions/{{name}}"),
    "run services get-iam-policy": Route("run", f"v2/{_HERE}/services/{{name}}:getIamPolicy"),
    "kms keys get-iam-policy": Route("cloudkms", "v1/{name}:getIamPolicy"),
    "secrets describe": Route("secretmanager", "v1/projects/{project}/secrets/{name}"),
    "secrets get-iam-policy": Route("secretmanager", "v1/projects/{project}/secrets/{name}:getIamPolicy"),
    "scheduler jobs describe": Route("cloudscheduler", f"v1/{_HERE}/jobs/{{name}}"),
    "logging metrics describe": Route("logging", "v2/projects/{project}/metrics/{name}"),
    "monitoring policies list": Route("monitoring", "v3/projects/{project}/alertPolicies?pageSize=1000"),
    "monitoring dashboards list": Route("monitoring", "v1/projects/{project}/dashboards?pageSize=1000"),
    "monitoring dashboards describe": Route("monitoring", "v1/projects/{project}/dashboards/{name}"),
    "quotas info list": Route("cloudquotas", "v1/projects/{project}/locations/global/services/{service}/quotaInfos"),
}


class Session(Protocol):
    """What carries a request, with credentials or, on this machine, without."""

    def request(self, method: str, url: str, *, json: Any = None, timeout: float = 0) -> Any: ...


@dataclass(frozen=True)
class Looked:
    """An answer as gcloud would give it, and the resource it was made from."""

    answer: Answer
    resource: Any = None


@dataclass
class Eyes:
    """Looks at a project; an API without an address is one that does not exist there. Each thing is asked for once."""

    project: str
    addresses: Mapping[str, str]
    session: Session
    _seen: dict[tuple[str, str], Looked] = field(default_factory=dict)

    def offers(self, command: Command) -> bool:
        """Whether what a command asks for exists in this place at all."""
        return (route := _route(command)) is not None and route.service in self.addresses

    def knows(self, command: Command) -> bool:
        """Whether there is a route for a command."""
        return _route(command) is not None

    def __call__(self, command: Command) -> Looked:
        """What a look tells; a refusal and an unreachable service are answers too."""
        route = _route(command)
        assert route is not None
        found = self._asked(route.verb, f"{self.addresses[route.service]}/{_path(route, command, self.project)}")
        if found.answer.status:
            return found
        return Looked(Answer(0, _formatted(_as_gcloud_shows(found.resource), _flags(command).get("format", "json"))),
                      found.resource)  # fmt: skip

    def _asked(self, verb: str, url: str) -> Looked:
        if (verb, url) not in self._seen:
            self._seen[verb, url] = self._ask(verb, url)
        return self._seen[verb, url]

    def _ask(self, verb: str, url: str, page: str = "") -> Looked:
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        mark = "&" if "?" in url else "?"
        try:
            answer = self.session.request(
                verb, f"{url}{mark}pageToken={page}" if page else url, json={} if verb == "POST" else None,
                timeout=_TIMEOUT_SECONDS,
            )  # fmt: skip
            found = answer.json() if answer.content else {}
        except (RequestException, GoogleAuthError, ValueError) as error:
            return Looked(Answer(1, err=f"UNAVAILABLE: {type(error).__name__}: {error}"))
        if answer.status_code >= 400:
            return Looked(Answer(1, err=_refusal(answer.status_code, found)))
        if not (following := found.get("nextPageToken")):
            return Looked(Answer(0), found)
        rest = self._ask(verb, url, following)
        return rest if rest.answer.status else Looked(Answer(0), _joined(found, rest.resource))


def api(command: Command) -> str:
    """The name of the API that a look asks."""
    route = _route(command)
    assert route is not None
    return f"{route.service}.googleapis.com"


def words(command: Command) -> tuple[str, ...]:
    """A command without its flags and without the track (alpha, beta) that it is on."""
    return tuple(each for each in command if not each.startswith("--") and each not in ("alpha", "beta"))


def _flags(command: Command) -> dict[str, str]:
    return dict(each[2:].partition("=")[::2] for each in command if each.startswith("--"))


def _route(command: Command) -> Route | None:
    said = words(command)
    return next((ROUTES[key] for end in range(len(said), 0, -1) if (key := " ".join(said[:end])) in ROUTES), None)


def _path(route: Route, command: Command, project: str) -> str:
    flags, name = _flags(command), words(command)[-1]
    places = {each: flags.get(each, "") for each in ("region", "location", "service")}
    return route.path.format(project=project, name=name.removeprefix("gs://"), image=_image_path(name), **places)


def _image_path(image: str) -> str:
    """Where Artifact Registry keeps an image that is named by digest or by tag; empty for any other name."""
    named = _IMAGE.fullmatch(image)
    if named is None:
        return ""
    region, project, repository, name, mark, version = named.groups()
    place = f"projects/{project}/locations/{region}/repositories/{repository}"
    package = quote(name, safe="")
    return f"{place}/dockerImages/{package}@{version}" if mark == "@" else f"{place}/packages/{package}/tags/{version}"


def _refusal(status: int, found: Mapping[str, Any]) -> str:
    error = found.get("error", {})
    if status == 404:
        return f"NOT_FOUND: {error.get('message', 'not found')}"
    disabled = any(detail.get("reason") == DISABLED for detail in error.get("details", []))
    return f"{DISABLED if disabled else error.get('status', status)}: {error.get('message', 'no reason given')}"


def _joined(first: Mapping[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name: [*value, *rest.get(name, [])] for name, value in first.items() if isinstance(value, list)}
    return {**first, **rest, **lists}


def _as_gcloud_shows(found: Any) -> Any:
    """A bucket has other names for its fields in gcloud; a list stands alone, without the page around it."""
    if found.get("kind") == "storage#bucket":
        return {**found, "versioning_enabled": found.get("versioning", {}).get("enabled", False)}
    listed = [value for name, value in found.items() if isinstance(value, list) and name in _LISTS]
    return listed[0] if listed else found


_LISTS = frozenset({"services", "items", "alertPolicies", "dashboards", "quotaInfos"})


def _formatted(found: Any, wanted: str) -> str:
    path = _FORMAT.fullmatch(wanted)
    if path is None:
        return json.dumps(found)
    each: Iterable[Any] = found if isinstance(found, list) else [found]
    return "\n".join(str(at(one, path[1])) for one in each)


def at(found: Any, path: str) -> Any:
    """The value at a dotted path; the empty string where there is none."""
    for name in path.split("."):
        found = found.get(name, "") if isinstance(found, Mapping) else ""
    return found
