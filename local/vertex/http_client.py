"""Just enough of an HTTP/1.1 client for serving containers and storage: kept-alive connections and little work.

Every prediction passes here, and a general client costs several times more processor time than the rest of the way.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

_MAX_IDLE = 32  # connections kept open
MAX_ANSWER_BYTES = 64 * 1024 * 1024  # far beyond any prediction; a container must not fill our memory


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Asks one address; raises ConnectionError when there was no answer, TimeoutError when it took too long."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._port = port
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()

    async def ask(
        self,
        method: str,
        target: str,
        timeout_seconds: float,
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Answer:
        """One request; a kept-alive connection that turns out to be closed is replaced once."""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode("latin-1") + body
        async with asyncio.timeout(timeout_seconds):
            if kept := self._kept():
                with contextlib.suppress(_ClosedWhileIdle):
                    return await self._exchange(kept, request)
            return await self._exchange(await self._connected(), request)

    def close(self) -> None:
        """Ends every connection; whoever waits for an answer gets ConnectionError."""
        for connection in [*self._idle, *self._busy]:
            connection.abort()
        self._idle.clear()

    async def _exchange(self, connection: "_Connection", request: bytes) -> Answer:
        self._busy.add(connection)
        try:
            answer = await connection.exchange(request)
        except BaseException:
            connection.abort()
            raise
        finally:
            self._busy.discard(connection)
        if connection.is_reusable and len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.abort()
        return answer

    async def _connected(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        except OSError as error:
            raise ConnectionError(f"nobody answers on port {self._port}") from error
        return connection

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        return None


class _ClosedWhileIdle(ConnectionError):
    """A kept-alive connection was closed by the other side before it said anything to this request."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._used = False
        self._heard = False
        self._ends_with_connection = False
        self._last = False

    @property
    def is_reusable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and not self._last

    async def exchange(self, request: bytes) -> Answer:
        if self._transport is None:
            raise _ClosedWhileIdle
        self._answer = asyncio.get_running_loop().create_future()
        self._heard = False
        self._headers, self._body = {}, bytearray()
        self._transport.write(request)
        answer = await self._answer
        self._used = True
        return answer

    def abort(self) -> None:
        self._last = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are not its subclasses

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(ConnectionError("the answer is not HTTP"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._ends_with_connection and error is None:
            self.on_message_complete()
        unheard = self._used and not self._heard
        self._fail(_ClosedWhileIdle() if unheard else ConnectionError("the connection was closed"))

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        self._ends_with_connection = not framed and not self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > MAX_ANSWER_BYTES:
            self._fail(ConnectionError("the answer is too large"))
            self.abort()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._last = self._last or not self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, self._headers, bytes(self._body)))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
