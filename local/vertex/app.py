"""The REST wire of Vertex AI: paths in, documents out; everything that is not here is answered as unimplemented."""

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from local.errors import CloudError, Status
from local.faults import HANDED_ON
from local.loopback import is_loopback
from local.vertex import fields
from local.vertex.documents import Document
from local.vertex.endpoints import Endpoints
from local.vertex.job_runs import Jobs
from local.vertex.operations import Operations
from local.vertex.predictions import MAX_REQUEST_BYTES, Predictions, decoded
from local.vertex.registry import Registry

MAX_BODY_BYTES = 10_000_000
_MAX_LOG_BYTES = 1_000_000  # of one answer; the reader asks again from where it stands
_PAGE_SIZE = 100
_PARENT = r"projects/[^/:]+/locations/[^/:]+"
_PREDICT = re.compile(rf"/v1/({_PARENT}/endpoints/[^/:]+):(predict|rawPredict)")
_VERSION = re.compile(r"/(?:v1|ui)/(.+)")
_LOG = re.compile(r"/local/logs/customJobs/([0-9]+)")
_INTERNAL = CloudError(Status.INTERNAL, "Internal error encountered.")
Query = Mapping[str, str]
Answer = Callable[[re.Match[str], Document, Query], Document]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """One operation of the API: its name in Google's discovery document, how it is asked for, and its answer."""

    name: str
    method: str
    path: re.Pattern[str]
    answer: Answer


class App:
    """An ASGI application; every refusal is in Google's form."""

    def __init__(self, jobs: Jobs, registry: Registry, endpoints: Endpoints, operations: Operations) -> None:
        self._jobs = jobs
        self._predictions = Predictions(endpoints)
        self._operations = operations
        calls = [*_job_calls(jobs), *_model_calls(registry), *_endpoint_calls(endpoints), *_operation_calls(operations)]
        self._calls = [Call(name, method, re.compile(path), answer) for name, method, path, answer in calls]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            response = await self._answered(Request(scope, receive))
        except ClientDisconnect:
            return
        except CloudError as error:
            response = _refusal(error)
        except Exception:
            _log.exception("a request failed")
            response = _refusal(_INTERNAL)
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        if not is_loopback(request.headers.get("host", "")):
            raise CloudError(Status.PERMISSION_DENIED, "Only requests to this machine's loopback address are answered.")
        method, path = request.method, request.scope["path"]
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            return await self._predicted(request, match[1], match[2])
        if method == "GET" and (match := _LOG.fullmatch(path)):
            return self._logged(match[1], request.query_params)
        body = await _body(request, MAX_BODY_BYTES)
        with self._operations.failing(request.scope.get(HANDED_ON)):
            return _json(self._called(method, path, body, request.query_params))

    def name_of(self, method: str, path: str) -> str | None:
        """What Google calls a request, for example `endpoints.deployModel`; None for what is not here."""
        if match := _PREDICT.fullmatch(path):
            return f"endpoints.{match[2]}" if method == "POST" else None
        found = self._found(method, path)
        return None if found is None else found[0].name

    def _called(self, method: str, path: str, body: bytes, query: Query) -> Document:
        found = self._found(method, path)
        if found is None:
            raise CloudError(Status.UNIMPLEMENTED, f"{method} {path[:300]} is not part of the local Vertex AI.")
        call, match = found
        return call.answer(match, decoded(body), query)

    def _found(self, method: str, path: str) -> tuple[Call, re.Match[str]] | None:
        versioned = _VERSION.fullmatch(path)
        for call in self._calls if versioned else ():
            if call.method == method and versioned and (match := call.path.fullmatch(versioned[1])):
                return call, match
        return None

    async def _predicted(self, request: Request, endpoint: str, kind: str) -> Response:
        body = await _body(request, MAX_REQUEST_BYTES)
        if kind == "predict":
            return await self._predictions.predict(endpoint, body)
        wrapped = _unwrapped(body)
        if wrapped is None:
            content_type = request.headers.get("content-type", "application/json")
            return await self._predictions.raw_predict(endpoint, body, content_type)
        answer = await self._predictions.raw_predict(endpoint, *wrapped)
        data = base64.b64encode(answer.body).decode()
        told = {name: value for name, value in answer.headers.items() if name.startswith("x-vertex-ai-")}
        return _json({"contentType": answer.headers["content-type"], "data": data}, told)

    def _logged(self, number: str, query: Query) -> Response:
        """A part of a job's output from `offset` bytes on; on Google Cloud this is Cloud Logging's to answer."""
        path = self._jobs.log_of_number(number)
        if path is None:
            raise CloudError(Status.NOT_FOUND, f"The CustomJob {number} does not exist.")
        offset = query.get("offset", "0")
        if not offset.isdecimal() or len(offset) > 15:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid offset: {offset[:100]}")
        return PlainTextResponse(_whole_characters(path, int(offset)))


def _job_calls(jobs: Jobs) -> list[tuple[str, str, str, Answer]]:
    job = f"({_PARENT}/customJobs/[^/:]+)"

    def cancelled(match: re.Match[str], _body: Document, _query: Query) -> Document:
        jobs.cancel(match[1])
        return {}

    return [
        ("customJobs.create", "POST", f"({_PARENT})/customJobs", lambda m, body, _: jobs.create(m[1], body)),
        (
            "customJobs.list",
            "GET",
            f"({_PARENT})/customJobs",
            lambda m, _, query: _page("customJobs", jobs.every(m[1], query), query),
        ),
        ("customJobs.get", "GET", job, lambda m, _, __: jobs.get(m[1])),
        ("customJobs.cancel", "POST", f"{job}:cancel", cancelled),
    ]


def _model_calls(registry: Registry) -> list[tuple[str, str, str, Answer]]:
    model = f"({_PARENT}/models/[^/:]+)"
    versions = f"{model}:listVersions"
    return [
        ("models.upload", "POST", f"({_PARENT})/models:upload", lambda m, body, _: registry.upload(m[1], body)),
        (
            "models.list",
            "GET",
            f"({_PARENT})/models",
            lambda m, _, query: _page("models", registry.models(m[1], query), query),
        ),
        ("models.get", "GET", model, lambda m, _, __: registry.get(m[1])),
        ("models.delete", "DELETE", model, lambda m, _, __: registry.delete(m[1])),
        (
            "models.listVersions",
            "GET",
            versions,
            lambda m, _, query: _page("models", registry.versions(m[1], query), query),
        ),
        (
            "models.mergeVersionAliases",
            "POST",
            f"{model}:mergeVersionAliases",
            lambda m, body, _: registry.merge_aliases(m[1], body),
        ),
        ("models.deleteVersion", "DELETE", f"{model}:deleteVersion", lambda m, _, __: registry.delete_version(m[1])),
    ]


def _endpoint_calls(endpoints: Endpoints) -> list[tuple[str, str, str, Answer]]:
    endpoint = f"({_PARENT}/endpoints/[^/:]+)"
    every = f"({_PARENT})/endpoints"
    return [
        (
            "endpoints.create",
            "POST",
            every,
            lambda m, body, query: endpoints.create(m[1], query.get("endpointId", ""), body),
        ),
        ("endpoints.list", "GET", every, lambda m, _, query: _page("endpoints", endpoints.every(m[1], query), query)),
        ("endpoints.get", "GET", endpoint, lambda m, _, __: endpoints.get(m[1])),
        ("endpoints.patch", "PATCH", endpoint, lambda m, body, query: endpoints.patch(m[1], body, query)),
        ("endpoints.delete", "DELETE", endpoint, lambda m, _, __: endpoints.delete(m[1])),
        ("endpoints.deployModel", "POST", f"{endpoint}:deployModel", lambda m, body, _: endpoints.deploy(m[1], body)),
        (
            "endpoints.undeployModel",
            "POST",
            f"{endpoint}:undeployModel",
            lambda m, body, _: endpoints.undeploy(m[1], body),
        ),
    ]


def _operation_calls(operations: Operations) -> list[tuple[str, str, str, Answer]]:
    owner = f"({_PARENT}(?:/(?:models|endpoints)/[^/:]+)?)"
    return [
        ("operations.get", "GET", f"{owner}/operations/([0-9]+)", lambda m, _, __: operations.get(m[2])),
        (
            "operations.list",
            "GET",
            f"{owner}/operations",
            lambda m, _, query: _page("operations", operations.below(m[1]), query),
        ),
    ]


def _page(kind: str, documents: list[Document], query: Query) -> Document:
    """One page of a list; a token is the name (and version) of the last document before."""
    size, token = query.get("pageSize") or str(_PAGE_SIZE), query.get("pageToken", "")
    if not size.isdecimal() or len(size) > 9:
        raise CloudError(Status.INVALID_ARGUMENT, f"Invalid page size: {size[:100]}")
    names = [f"{each['name']}@{each.get('versionId', '')}" for each in documents]
    if token and token not in names:
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid page token.")
    begin = names.index(token) + 1 if token else 0
    end = begin + (int(size) or _PAGE_SIZE)
    page: Document = {kind: documents[begin:end]}
    return {**page, "nextPageToken": names[end - 1]} if end < len(documents) else page


async def _body(request: Request, max_bytes: int) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > max_bytes:
            told = f"Request payload size exceeds the limit: {max_bytes} bytes."
            raise CloudError(Status.INVALID_ARGUMENT, told)
    return bytes(received)


def _unwrapped(body: bytes) -> tuple[bytes, str] | None:
    """Body and content type of a RawPredictRequest message, which is how Google's Python client sends any body."""
    if not body.startswith(b'{"httpBody"') and not body.startswith(b'{\n  "httpBody"'):
        return None
    http_body = fields.part(decoded(body), "httpBody")
    data = base64.b64decode(fields.text(http_body, "data"))
    return data, fields.text(http_body, "contentType") or "application/json"


def _whole_characters(path: Path, offset: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as log:
        log.seek(offset)
        part = log.read(_MAX_LOG_BYTES)
    # A character that is still being written, or cut by the limit, is left for the next answer.
    for cut in range(1, min(4, len(part) + 1)):
        if part[-cut] >= 0xC0:
            return part[:-cut] if len(part[-cut:].decode(errors="ignore")) == 0 else part
    return part


def _refusal(error: CloudError) -> Response:
    return Response(error.rest_body(), error.http_code, media_type="application/json")


def _json(document: Document, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(document), headers=headers, media_type="application/json")
