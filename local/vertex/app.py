"""The REST wire of Vertex AI: paths in, documents out; everything that is not here is answered as unimplemented."""

import base64
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from local import fields
from local.errors import CloudError, Status
from local.faults import HANDED_ON
from local.rest import Calls, Query, body_of, decoded, json_response
from local.vertex import entries
from local.vertex.batch_runs import BatchJobs
from local.vertex.calls import PARENT, batch_calls, endpoint_calls, job_calls, model_calls, operation_calls
from local.vertex.endpoints import Endpoints
from local.vertex.job_runs import Jobs
from local.vertex.operations import Operations
from local.vertex.predictions import MAX_REQUEST_BYTES, Predictions
from local.vertex.registry import Registry

_MAX_LOG_BYTES = 1_000_000  # of one answer; the reader asks again from where it stands
_PREDICT = re.compile(rf"/v1/({PARENT}/endpoints/[^/:]+):(predict|rawPredict)")
_LOG = re.compile(r"/local/logs/customJobs/([0-9]+)")


class App:
    """Answers every request of the REST API."""

    def __init__(
        self,
        jobs: Jobs,
        batch_jobs: BatchJobs,
        registry: Registry,
        endpoints: Endpoints,
        operations: Operations,
        run_data: Path | None = None,
    ) -> None:
        self._run_data = run_data
        self._jobs = jobs
        self._predictions = Predictions(endpoints)
        self._operations = operations
        calls = [
            *job_calls(jobs),
            *batch_calls(batch_jobs),
            *model_calls(registry),
            *endpoint_calls(endpoints),
            *operation_calls(operations),
        ]
        self._calls = Calls("Vertex AI", calls)

    async def answer(self, request: Request) -> Response:
        method, path = request.method, request.scope["path"]
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            return await self._predicted(request, match[1], match[2])
        if method == "GET" and (match := _LOG.fullmatch(path)):
            return self._logged(match[1], request.query_params)
        body = await body_of(request)
        if method == "POST" and path == entries.PATH:
            return json_response(entries.listed(self._jobs, self._run_data, decoded(body)))
        with self._operations.failing(request.scope.get(HANDED_ON)):
            return json_response(self._calls.answer(request, body))

    def name_of(self, method: str, path: str) -> str | None:
        """What Google calls a request, for example `endpoints.deployModel`; None for what is not here."""
        if match := _PREDICT.fullmatch(path):
            return f"endpoints.{match[2]}" if method == "POST" else None
        return self._calls.name_of(method, path)

    async def _predicted(self, request: Request, endpoint: str, kind: str) -> Response:
        body = await body_of(request, MAX_REQUEST_BYTES)
        if kind == "predict":
            return await self._predictions.predict(endpoint, body)
        wrapped = _unwrapped(body)
        if wrapped is None:
            content_type = request.headers.get("content-type", "application/json")
            return await self._predictions.raw_predict(endpoint, body, content_type)
        answer = await self._predictions.raw_predict(endpoint, *wrapped)
        data = base64.b64encode(answer.body).decode()
        told = {name: value for name, value in answer.headers.items() if name.startswith("x-vertex-ai-")}
        return json_response({"contentType": answer.headers["content-type"], "data": data}, told)

    def _logged(self, number: str, query: Query) -> Response:
        """A part of a job's output from `offset` bytes on; on Google Cloud this is Cloud Logging's to answer."""
        path = self._jobs.log_of_number(number)
        if path is None:
            raise CloudError(Status.NOT_FOUND, f"The CustomJob {number} does not exist.")
        offset = query.get("offset", "0")
        if not offset.isdecimal() or len(offset) > 15:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid offset: {offset[:100]}")
        return PlainTextResponse(_whole_characters(path, int(offset)))


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
