"""The REST wire of Vertex AI: paths in, documents out; everything that is not here is answered as unimplemented."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.errors import CloudError, Status, status_of_http
from local.vertex.documents import Document
from local.vertex.endpoints import Endpoints
from local.vertex.jobs import Jobs
from local.vertex.operations import Operations
from local.vertex.registry import Registry, public

MAX_PREDICT_BYTES = 1_500_000
_PREDICT_SECONDS = 60.0
_PARENT = r"projects/[^/]+/locations/[^/]+"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
Call = Callable[[re.Match[str], Document, Mapping[str, str]], Any]


class Wire:
    """Answers every request of the REST API."""

    def __init__(self, jobs: Jobs, registry: Registry, endpoints: Endpoints, operations: Operations) -> None:
        self._jobs = jobs
        self._endpoints = endpoints
        self._http = httpx.AsyncClient(timeout=_PREDICT_SECONDS, limits=httpx.Limits(max_keepalive_connections=64))
        self._calls = [
            (method, re.compile(path), call) for method, path, call in _calls(jobs, registry, endpoints, operations)
        ]

    @asynccontextmanager
    async def _open(self, _app: Starlette) -> AsyncIterator[None]:
        """The connections to the containers end with the application."""
        yield
        await self._http.aclose()

    def app(self) -> Starlette:
        every = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        return Starlette(
            routes=[
                Route("/local/logs/customJobs/{number}", self._log, methods=["GET"]),
                Route("/{path:path}", self._any, methods=every),
            ],
            lifespan=self._open,
        )

    async def _any(self, request: Request) -> Response:
        try:
            if not request.headers.get("host", "").startswith(_LOOPBACK):
                raise CloudError(Status.PERMISSION_DENIED, "Only requests to this machine are answered.")
            path = re.sub("^(v1|v1beta1|ui)/", "", request.path_params["path"])
            body = await request.body()
            predicted = re.fullmatch(rf"({_PARENT}/endpoints/[^/:]+):(predict|rawPredict)", path)
            if predicted and request.method == "POST":
                return await self._predict(predicted[1], predicted[2], body)
            answer = await run_in_threadpool(self._answer, request.method, path, body, dict(request.query_params))
            return Response(json.dumps(answer), media_type="application/json")
        except CloudError as error:
            return Response(error.rest_body(), error.http_code, media_type="application/json")

    def _answer(self, method: str, path: str, body: bytes, query: Mapping[str, str]) -> Any:
        for known, pattern, call in self._calls:
            match = pattern.fullmatch(path)
            if known == method and match:
                return call(match, _json(body), query)
        raise CloudError(Status.UNIMPLEMENTED, f"Method {method} {path} is not part of the local Vertex AI.")

    async def _predict(self, endpoint: str, kind: str, body: bytes) -> Response:
        if len(body) > MAX_PREDICT_BYTES:
            raise CloudError(Status.INVALID_ARGUMENT, f"The request is larger than {MAX_PREDICT_BYTES} bytes.")
        deployed, address = self._endpoints.routed(endpoint)
        try:
            answer = await self._http.post(address, content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise CloudError(Status.UNAVAILABLE, "The deployed model does not answer.") from error
        told = {
            "deployedModelId": deployed["id"],
            "model": deployed["model"],
            "modelVersionId": deployed["modelVersionId"],
        }
        if kind == "rawPredict":
            headers = {"X-Vertex-AI-Deployed-Model-Id": deployed["id"]}
            return Response(answer.content, answer.status_code, headers, answer.headers.get("content-type"))
        if answer.status_code != 200:
            raise CloudError(status_of_http(answer.status_code), answer.text[:4000], http_code=answer.status_code)
        # The container's JSON object is passed on unread, with our fields put in before its end.
        content = answer.content.rstrip()[:-1] + b"," + json.dumps(told).encode()[1:]
        return Response(content, media_type="application/json")

    async def _log(self, request: Request) -> Response:
        path = self._jobs.log(re.sub("[^0-9]", "", request.path_params["number"]))
        if not path.exists():
            return PlainTextResponse("", 404)
        with path.open("rb") as log:
            log.seek(int(request.query_params.get("offset", "0")))
            return PlainTextResponse(log.read().decode(errors="replace"))


def _calls(jobs: Jobs, registry: Registry, endpoints: Endpoints, operations: Operations) -> list[tuple[str, str, Call]]:
    return [*_job_calls(jobs), *_model_calls(registry, endpoints), *_endpoint_calls(endpoints), *_others(operations)]


def _job_calls(jobs: Jobs) -> list[tuple[str, str, Call]]:
    job = f"({_PARENT}/customJobs/[^/:]+)"

    def cancelled(match: re.Match[str], _body: Document, _query: Mapping[str, str]) -> Document:
        jobs.cancel(match[1])
        return {}

    return [
        ("POST", f"({_PARENT})/customJobs", lambda m, body, _: jobs.create(m[1], body)),
        ("GET", f"({_PARENT})/customJobs", lambda m, _, q: {"customJobs": jobs.every(m[1], q.get("filter", ""))}),
        ("GET", job, lambda m, _, __: jobs.get(m[1])),
        ("POST", f"{job}:cancel", cancelled),
    ]


def _model_calls(registry: Registry, endpoints: Endpoints) -> list[tuple[str, str, Call]]:
    model = f"({_PARENT}/models/[^/:]+)"

    def merged(match: re.Match[str], body: Document, _query: Mapping[str, str]) -> Document:
        return public(registry.merge_aliases(match[1], body.get("versionAliases", [])))

    def deleted(match: re.Match[str], _body: Document, _query: Mapping[str, str]) -> Document:
        return registry.delete_version(match[1].split("/models/")[0], match[1], endpoints.uses(match[1]))

    return [
        ("POST", f"({_PARENT})/models:upload", lambda m, body, _: registry.upload(m[1], body)),
        ("GET", f"({_PARENT})/models", lambda m, _, __: {"models": [public(each) for each in registry.models(m[1])]}),
        ("GET", model, lambda m, _, __: public(registry.get(m[1]))),
        (
            "GET",
            f"{model}:listVersions",
            lambda m, _, __: {"models": [public(each) for each in registry.versions(m[1])]},
        ),
        ("POST", f"{model}:mergeVersionAliases", merged),
        ("DELETE", f"{model}:deleteVersion", deleted),
    ]


def _endpoint_calls(endpoints: Endpoints) -> list[tuple[str, str, Call]]:
    endpoint = f"({_PARENT}/endpoints/[^/:]+)"
    return [
        ("POST", f"({_PARENT})/endpoints", lambda m, body, q: endpoints.create(m[1], q.get("endpointId", ""), body)),
        ("GET", f"({_PARENT})/endpoints", lambda m, _, __: {"endpoints": endpoints.every(m[1])}),
        ("GET", endpoint, lambda m, _, __: endpoints.get(m[1])),
        ("PATCH", endpoint, lambda m, body, q: endpoints.patch(m[1], body, q.get("updateMask", ""))),
        ("DELETE", endpoint, lambda m, _, __: endpoints.delete(m[1].split("/endpoints/")[0], m[1])),
        ("POST", f"{endpoint}:deployModel", lambda m, body, _: endpoints.deploy(m[1], body)),
        ("POST", f"{endpoint}:undeployModel", lambda m, body, _: endpoints.undeploy(m[1], body)),
    ]


def _others(operations: Operations) -> list[tuple[str, str, Call]]:
    nested = f"({_PARENT})/(?:models|endpoints)/[^/:]+/(operations/[^/:]+)"
    return [
        ("GET", f"({_PARENT}/operations/[^/:]+)", lambda m, _, __: operations.get(m[1])),
        ("GET", nested, lambda m, _, __: operations.get(f"{m[1]}/{m[2]}")),
    ]


def _json(body: bytes) -> Document:
    try:
        found = json.loads(body) if body else {}
    except ValueError as error:
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid JSON payload received.") from error
    if not isinstance(found, dict):
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid JSON payload received: not an object.")
    return found
