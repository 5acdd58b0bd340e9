"""The REST wire, as gcloud speaks it: from method and path to the method of the service, and Google's JSON back.

PUT /v1/projects/p/topics/t      ─► Publisher/CreateTopic, `name` from the path, the rest from the body
POST /v1/projects/p/topics/t:publish  ─► Publisher/Publish, `topic` from the path
GET /oauth2/v1/certs             ─► the keys that push tokens are verified with
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from google.protobuf import json_format

from local.errors import CloudError, Status, unimplemented
from local.loopback import is_loopback
from local.pubsub.broker import Broker
from local.pubsub.documents import read_body, read_json, read_query
from local.pubsub.limits import invalid
from local.pubsub.oidc import Signer
from local.pubsub.service import METHODS, call

_TOPIC, _SUBSCRIPTION = "projects/*/topics/*", "projects/*/subscriptions/*"
# Verb and shape of the path: the method, and the field that the name in the path is.
_ROUTES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("PUT", _TOPIC): ("Publisher/CreateTopic", "name"),
    ("GET", _TOPIC): ("Publisher/GetTopic", "topic"),
    ("PATCH", _TOPIC): ("Publisher/UpdateTopic", "topic.name"),
    ("DELETE", _TOPIC): ("Publisher/DeleteTopic", "topic"),
    ("POST", f"{_TOPIC}:publish"): ("Publisher/Publish", "topic"),
    ("GET", f"{_TOPIC}/subscriptions"): ("Publisher/ListTopicSubscriptions", "topic"),
    ("GET", "projects/*/topics"): ("Publisher/ListTopics", "project"),
    ("PUT", _SUBSCRIPTION): ("Subscriber/CreateSubscription", "name"),
    ("GET", _SUBSCRIPTION): ("Subscriber/GetSubscription", "subscription"),
    ("PATCH", _SUBSCRIPTION): ("Subscriber/UpdateSubscription", "subscription.name"),
    ("DELETE", _SUBSCRIPTION): ("Subscriber/DeleteSubscription", "subscription"),
    ("GET", "projects/*/subscriptions"): ("Subscriber/ListSubscriptions", "project"),
    ("POST", f"{_SUBSCRIPTION}:modifyPushConfig"): ("Subscriber/ModifyPushConfig", "subscription"),
    ("POST", f"{_SUBSCRIPTION}:acknowledge"): ("Subscriber/Acknowledge", "subscription"),
    ("POST", f"{_SUBSCRIPTION}:modifyAckDeadline"): ("Subscriber/ModifyAckDeadline", "subscription"),
    ("POST", f"{_SUBSCRIPTION}:pull"): ("Subscriber/Pull", "subscription"),
}
# What Google has and the local cloud has not; any other path is none of Google's.
_UNOFFERED = re.compile(
    r"projects/\*/(snapshots|schemas)(/.*|:.*)?|projects/\*/topics/\*/snapshots"
    r"|projects/\*/(topics|subscriptions)/\*:(seek|detach|getIamPolicy|setIamPolicy|testIamPermissions)"
)
_SYSTEM_PARAMETERS = frozenset({
    "$.xgafv", "$alt", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser",
    "uploadType", "upload_protocol", "userIp",
})  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One HTTP request; `target` is path and query as they came."""

    verb: str
    target: str
    host: str
    body: bytes


class Rest:
    """Answers HTTP requests for a broker."""

    def __init__(self, broker: Broker, signer: Signer) -> None:
        self._broker = broker
        self._signer = signer

    async def answer(self, request: Request) -> tuple[int, bytes]:
        """Status and JSON body; never raises."""
        try:
            return HTTPStatus.OK, _json(await self._answer(request))
        except CloudError as error:
            return error.http_code, _json(error.rest_error())

    async def _answer(self, request: Request) -> dict[str, Any]:
        if not is_loopback(request.host):
            raise CloudError(Status.PERMISSION_DENIED, "The local cloud answers on this machine's loopback only.")
        path, query = _split(request.target)
        if (request.verb, path) == ("GET", "/oauth2/v1/certs"):
            return dict(self._signer.certificates())
        name, field, resource = _routed(request.verb, path)
        message = METHODS[name].request.pb()()
        read_query({key: value for key, value in query.items() if key not in _SYSTEM_PARAMETERS}, message)
        if request.verb not in ("GET", "DELETE"):
            read_body(read_json(request.body), message)
        _bind(message, field, resource)
        answer: dict[str, Any] = json_format.MessageToDict(await call(self._broker, name, message))
        return answer


def _split(target: str) -> tuple[str, dict[str, str]]:
    try:
        parts = urlsplit(target)
        return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError as error:
        raise invalid("Request contains an invalid argument.") from error


def _routed(verb: str, path: str) -> tuple[str, str, str]:
    """The method, the field of the path's name, and that name."""
    segments = path.removeprefix("/v1/").split("/")
    segments[-1], colon, action = segments[-1].partition(":")
    shape = "/".join("*" if place % 2 else segment for place, segment in enumerate(segments)) + colon + action
    if (verb, shape) in _ROUTES and path.startswith("/v1/"):
        name, field = _ROUTES[verb, shape]
        return name, field, "/".join(unquote(each) for each in segments[: len(segments) // 2 * 2])
    if path.startswith("/v1/") and _UNOFFERED.fullmatch(shape):
        raise unimplemented(f"{verb} {shape}")
    raise CloudError(Status.NOT_FOUND, "Method not found.")


def _bind(message: Any, field: str, name: str) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, last, name)


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
