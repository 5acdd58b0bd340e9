"""What the REST services on Starlette have in common: a table of calls, Google's refusals, pages, limits."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local.errors import CloudError, Status
from local.fields import Document
from local.loopback import is_loopback

MAX_BODY_BYTES = 10_000_000
_PAGE_SIZE = 100
_INTERNAL = CloudError(Status.INTERNAL, "Internal error encountered.")
_log = logging.getLogger(__name__)
Query = Mapping[str, str]
Answer = Callable[[re.Match[str], Document, Query], Document]


@dataclass(frozen=True)
class Call:
    """One operation of an API: its name in Google's discovery document, how it is asked for, and its answer."""

    name: str
    method: str
    path: str
    answer: Answer


class Calls:
    """The operations of one service below its versions (/ui: where Google's clients poll); others are unimplemented."""

    def __init__(self, service: str, calls: Sequence[Call], versions: str = "v1|ui") -> None:
        self._version = re.compile(rf"/(?:{versions})/(.+)")
        self._service = service
        self._calls = [(call, re.compile(call.path)) for call in calls]

    def name_of(self, method: str, path: str) -> str | None:
        """For example `endpoints.deployModel`; None for what is not here."""
        found = self._found(method, path)
        return None if found is None else found[0].name

    def answer(self, request: Request, body: bytes) -> Document:
        method, path = request.method, request.scope["path"]
        found = self._found(method, path)
        if found is None:
            raise CloudError(Status.UNIMPLEMENTED, f"{method} {path[:300]} is not part of the local {self._service}.")
        call, match = found
        return call.answer(match, decoded(body), request.query_params)

    def _found(self, method: str, path: str) -> tuple[Call, re.Match[str]] | None:
        versioned = self._version.fullmatch(path)
        for call, pattern in self._calls if versioned else ():
            if call.method == method and versioned and (match := pattern.fullmatch(versioned[1])):
                return call, match
        return None


class RestApp:
    """An ASGI application; every refusal is in Google's form, and no traceback leaves the service."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

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
        return await self._answer(request)


def decoded(body: bytes) -> Document:
    """A request's JSON object; INVALID_ARGUMENT for anything else."""
    try:
        found = json.loads(body, parse_constant=_not_json) if body else {}
    except (ValueError, RecursionError) as error:
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid JSON payload received.") from error
    if not isinstance(found, dict):
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid JSON payload received. Root element must be a message.")
    return found


def _not_json(_constant: str) -> None:
    raise ValueError("not JSON")


async def body_of(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body; INVALID_ARGUMENT beyond the limit."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > max_bytes:
            told = f"Request payload size exceeds the limit: {max_bytes} bytes."
            raise CloudError(Status.INVALID_ARGUMENT, told)
    return bytes(received)


def page(kind: str, documents: Sequence[Document], query: Query) -> Document:
    """One page of a list; a token is the name (and version) of the last document before."""
    size, token = query.get("pageSize") or str(_PAGE_SIZE), query.get("pageToken", "")
    if not (size.isascii() and size.isdecimal()) or len(size) > 9:
        raise CloudError(Status.INVALID_ARGUMENT, f"Invalid page size: {size[:100]}")
    names = [f"{each['name']}@{each.get('versionId', '')}" for each in documents]
    if token and token not in names:
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid page token.")
    begin = names.index(token) + 1 if token else 0
    end = begin + (int(size) or _PAGE_SIZE)
    found: Document = {kind: list(documents[begin:end])}
    return {**found, "nextPageToken": names[end - 1]} if end < len(documents) else found


def json_response(document: Document, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(document), headers=headers, media_type="application/json")


def _refusal(error: CloudError) -> Response:
    return Response(error.rest_body(), error.http_code, media_type="application/json")
