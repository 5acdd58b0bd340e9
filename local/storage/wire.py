"""HTTP as this service needs it, directly on ASGI and thin: every ledger access of the whole system passes here."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from local.errors import CloudError
from local.storage.errors import ClientGone, invalid, malformed, too_large
from local.storage.fields import parse_mask, select

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# Far above any resource of ours (8 KiB of metadata), far below what would hurt.
JSON_LIMIT_BYTES = 1024 * 1024
_FILE_PIECE_BYTES = 256 * 1024
_QUERY_LIMIT_FIELDS = 100
_INT64 = range(-(2**63), 2**63)


class Request:
    """One request: decoded path segments, decoded query (the last of equal names counts), headers in lower case."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """CloudError 400 when path or query are not UTF-8, or `fields` selects nothing readable."""
        self.method: str = scope["method"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        self._receive = receive
        try:
            self.segments = [unquote_to_bytes(part).decode() for part in scope["raw_path"].split(b"/")[1:]]
            self.query = dict(_query(scope["query_string"]))
        except ValueError:
            raise invalid("The URL is not UTF-8, or has too many parameters.") from None
        self.mask = parse_mask(self.query["fields"]) if self.query.get("fields") else {}

    @property
    def base_url(self) -> str:
        return f"http://{self.headers['host']}"

    def number(self, name: str) -> int | None:
        """An int64 query parameter; None when absent, CloudError 400 when it is no such number."""
        text = self.query.get(name)
        return None if text is None else int64(name, text)

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() == "true"

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; ClientGone when it never ends."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if message.get("body"):
                yield message["body"]
            more = message.get("more_body", False)

    async def body(self, limit_bytes: int) -> bytes:
        parts: list[bytes] = []
        size_bytes = 0
        async for chunk in self.chunks():
            size_bytes += len(chunk)
            if size_bytes > limit_bytes:
                raise too_large("The request body", limit_bytes)
            parts.append(chunk)
        return b"".join(parts)

    async def resource(self) -> dict[str, Any]:
        """The body as a JSON object; {} when there is no body. CloudError 400, 413."""
        return json_object(await self.body(JSON_LIMIT_BYTES))


def _query(query_string: bytes) -> list[tuple[str, str]]:
    text = query_string.decode("ascii")
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_LIMIT_FIELDS) if text else []


def int64(name: str, text: str) -> int:
    if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20 and int(text) in _INT64:
        return int(text)
    raise invalid(f"Invalid value '{text:.32}' for {name}: not a 64-bit number")


def json_object(body: bytes) -> dict[str, Any]:
    """CloudError 400 unless `body` is a JSON object (or empty, which counts as {})."""
    if not body.strip():
        return {}
    try:
        resource = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed("Parse Error") from None
    if not isinstance(resource, dict):
        raise malformed("Parse Error: a JSON object is expected")
    return resource


@dataclass(frozen=True, slots=True)
class FileSlice:
    """`size_bytes` bytes of a file from `start` on."""

    path: Path
    start: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; its length is that of the body."""

    status: int
    headers: Headers
    body: bytes | FileSlice = b""

    async def send(self, send: Send, without_body: bool) -> None:
        size_bytes = len(self.body) if isinstance(self.body, bytes) else self.body.size_bytes
        length: Headers = [] if self.status in _BODILESS else [(b"content-length", b"%d" % size_bytes)]
        if without_body or isinstance(self.body, bytes):
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers + length})
            body = b"" if without_body else self.body
            await send({"type": "http.response.body", "body": body})
            return
        with self.body.path.open("rb") as file:
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers + length})
            file.seek(self.body.start)
            left = size_bytes
            while left:
                piece = file.read(min(left, _FILE_PIECE_BYTES))
                left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_JSON: tuple[bytes, bytes] = (b"content-type", b"application/json; charset=UTF-8")


def json_response(request: Request, resource: dict[str, Any]) -> Response:
    """The resource, or of it the `fields` that the request asks for."""
    headers = [_JSON]
    if "etag" in resource:
        headers.append((b"etag", resource["etag"].encode()))
    wanted = select(resource, request.mask) if request.mask else resource
    return Response(HTTPStatus.OK, headers, json.dumps(wanted).encode())


def no_content() -> Response:
    return Response(HTTPStatus.NO_CONTENT, [])


def refusal(error: CloudError) -> Response:
    return Response(error.http_code, [_JSON], error.rest_body())
