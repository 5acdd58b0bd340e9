"""HTTP/1.1 on one connection: from bytes to requests, and their answers back in the order in which they were asked.

A plain asyncio protocol around the parser that uvicorn uses: with models that answer in ten microseconds, an ASGI
server's own work would be most of every request (docs/decisions/serving-protocol.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

import httptools

MAX_HEADER_BYTES = 32 * 1024
MAX_PIPELINED = 64
"""Requests of one connection that may wait for their answers; after that it is not read."""
IDLE_SECONDS = 620.0
"""Longer than the 600 s for which Google's front ends keep a connection: it must be they who close it."""
_OVERLOADED = 503
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Reply = Callable[[int, bytes, bytes], None]


class Handler(Protocol):
    """Answers requests."""

    def handle(self, method: bytes, path: bytes, body: bytes, reply: Reply) -> None: ...
    def refused(self, status: int, error: str, reply: Reply) -> None: ...


class Server:
    """What all connections of a process share."""

    def __init__(self, handler: Handler, max_body_bytes: int, max_connections: int, clock: Callable[[], float]) -> None:
        self.handler = handler
        self.max_body_bytes = max_body_bytes
        self.max_connections = max_connections
        self.clock = clock
        self.connections: set[Connection] = set()
        self.date = b""
        """The Date field, made once a second."""
        self.stopping = False
        """From now on each answer is the last one of its connection."""

    def expire(self, timeout_seconds: float) -> None:
        """Ends the connections that nothing has come of for too long."""
        now = self.clock()
        for connection in list(self.connections):
            connection.expire(now - timeout_seconds, now - IDLE_SECONDS)


class Connection(asyncio.Protocol):
    """One client. Requests may be pipelined; whatever is wrong with one ends the connection with a reason."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser: Any = None
        self._transport: Any = None
        self._waiting: deque[_Slot] = deque()
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._in_header = False
        self._header_bytes = 0
        self._field_bytes = 0
        """Of a field of the header that has not ended yet."""
        self._last = False
        """Nothing more is read."""
        self._cut = False
        """The client was refused while it may still be sending."""
        self._reading = False
        self._since = server.clock()
        """When the request that is being read began to come in, or the last one was there."""
        self._stuck: float | None = None
        """Since when the client has not taken what was sent."""

    # What the server asks.

    @property
    def idle(self) -> bool:
        """Whether nothing is being read and nothing waits for its answer."""
        return not self._reading and not self._waiting

    def close(self) -> None:
        self._transport.close()

    def expire(self, late: float, forgotten: float) -> None:
        """Ends the connection if what it waits for began before `late`, or if it has rested since `forgotten`."""
        if self._stuck is not None:
            if self._stuck < late:
                self._transport.abort()
        elif self._waiting:
            return  # an answer is on its way, were it that there is none in time
        elif self._last:
            if self._since < late:
                self._transport.abort()
        elif self._reading:
            if self._since < late:
                self._refuse(408, "the request did not come in whole in time")
        elif self._since < forgotten:
            self._transport.close()

    # What the transport tells.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._server.connections.add(self)
        if len(self._server.connections) > self._server.max_connections:
            self._refuse(_OVERLOADED, "too many connections")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.connections.discard(self)
        self._last = True

    def data_received(self, data: bytes) -> None:
        if self._last:
            return
        if not self._reading:
            self._begin()
        in_header = self._in_header
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # an offer; the request itself has been answered as the last one
        except httptools.HttpParserError:
            self._refuse(400, "this is not HTTP")
        if in_header and self._in_header:
            self._count_header(0, self._field_bytes + len(data))

    def pause_writing(self) -> None:
        self._stuck = self._server.clock()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stuck = None
        self._read_on()

    # What the parser tells.

    def on_message_begin(self) -> None:
        self._url = b""
        self._body = []
        self._body_bytes = 0
        self._in_header = True
        self._header_bytes = self._field_bytes = 0
        if not self._reading:
            self._begin()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_header(len(url), 0)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value), 0)
        if len(name) == 6 and name.lower() == b"expect" and value.lower() == b"100-continue" and not self._waiting:
            self._transport.write(_CONTINUE)

    def on_headers_complete(self) -> None:
        self._in_header = False

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._server.max_body_bytes:
            self._refuse(413, f"the request is larger than {self._server.max_body_bytes} bytes")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._last:
            return
        self._reading = False
        self._since = self._server.clock()
        method = self._parser.get_method()
        self._last = self._server.stopping or not self._parser.should_keep_alive() or self._parser.should_upgrade()
        self._last = self._last or method == b"HEAD"  # whose client takes our body for the beginning of the next answer
        slot = self._slot()
        if len(self._waiting) >= MAX_PIPELINED:
            self._transport.pause_reading()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        try:
            self._server.handler.handle(method, self._url.partition(b"?")[0], body, slot.answer)
        except Exception:  # the parser would take it for the client's mistake, told behind a place that stays empty
            slot.fail()

    def send_answered(self) -> None:
        """Sends every answer whose turn it is."""
        waiting, transport = self._waiting, self._transport
        was_full = len(waiting) >= MAX_PIPELINED
        while waiting and waiting[0].message is not None:
            slot = waiting.popleft()
            if transport.is_closing():
                continue
            transport.write(slot.message)
            if self._cut and slot.last:
                transport.write_eof()  # and reads on into nothing: closing on what still comes in would take it back
            elif slot.last or (self._server.stopping and self.idle):
                transport.close()
        if was_full:
            self._read_on()

    def head(self, status: int, content_type: bytes, length: int, last: bool) -> bytes:
        """The head of an answer."""
        return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\ndate: %b\r\n%b\r\n" % (
            status,
            _REASONS[status],
            content_type,
            length,
            self._server.date,
            b"connection: close\r\n" if last or self._server.stopping else b"",
        )

    def _begin(self) -> None:
        self._reading = True
        self._since = self._server.clock()

    def _count_header(self, ended: int, unended: int) -> None:
        self._header_bytes += ended
        self._field_bytes = unended
        if self._header_bytes + self._field_bytes > MAX_HEADER_BYTES:
            self._refuse(431, f"the header is larger than {MAX_HEADER_BYTES} bytes")

    def _refuse(self, status: int, error: str) -> None:
        """Answers what cannot be read on after everything before it, and reads no more."""
        if self._last:
            return
        self._last = True
        self._cut = status != _OVERLOADED
        self._reading = False
        self._since = self._server.clock()
        self._server.handler.refused(status, error, self._slot().answer)

    def _slot(self) -> "_Slot":
        slot = _Slot(self, self._last)
        self._waiting.append(slot)
        return slot

    def _read_on(self) -> None:
        if self._stuck is None and len(self._waiting) < MAX_PIPELINED and not self._transport.is_closing():
            self._transport.resume_reading()


class _Slot:
    """The place of one answer among those of its connection."""

    __slots__ = ("_connection", "last", "message")

    def __init__(self, connection: Connection, last: bool) -> None:
        self._connection = connection
        self.last = last
        self.message: bytes | None = None

    def answer(self, status: int, content_type: bytes, body: bytes) -> None:
        connection = self._connection
        self.message = connection.head(status, content_type, len(body), self.last) + body
        connection.send_answered()

    def fail(self) -> None:
        """Answers where the handler broke off without an answer."""
        if self.message is None:
            self.answer(500, b"application/json", b'{"error":"internal error"}')
