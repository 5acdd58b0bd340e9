"""Just enough of an HTTP client to push with: one POST, its status, kept-alive connections, little work per request."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

_MAX_IDLE = 16  # connections kept open to one place
_MAX_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_PROCESSING = 102  # to Pub/Sub an acknowledgement, although HTTP calls it provisional
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the requests to one endpoint go."""

    host: str
    port: int
    tls: bool
    authority: str
    target: str


def place_of(url: str) -> Place:
    """Takes an http or https URL apart."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = parts.netloc.rpartition("@")[2]
    return Place(parts.hostname or "", parts.port or (443 if tls else 80), tls, authority, target)


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False

    def close(self) -> None:
        self.writer.transport.abort()


class _ClosedWhileIdle(ConnectionError):
    """A kept-alive connection was closed by the other side before it said anything to this request."""


class HttpClient:
    """Posts bodies and answers statuses; raises OSError when there was no answer."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int, bool], list[_Connection]] = {}

    async def post(self, place: Place, headers: Headers, body: bytes) -> int:
        """The status of the answer; a kept-alive connection that turns out to be closed is replaced once."""
        connection = self._kept(place)
        if connection is not None:
            with contextlib.suppress(_ClosedWhileIdle):
                return await self._exchange(place, connection, headers, body)
        return await self._exchange(place, await _connect(place), headers, body)

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _exchange(self, place: Place, connection: _Connection, headers: Headers, body: bytes) -> int:
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        connection.writer.write(_request(http, place, headers, body))
        try:
            status = await _status(http, connection)
        except h11.RemoteProtocolError as error:
            connection.close()
            raise ConnectionError("the answer is not HTTP") from error
        except BaseException:
            connection.close()
            raise
        self._keep(place, connection, reusable=http.our_state is h11.DONE and http.their_state is h11.DONE)
        return status

    def _kept(self, place: Place) -> _Connection | None:
        idle = self._idle.get((place.host, place.port, place.tls), [])
        while idle:
            connection = idle.pop()
            if not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.close()
        return None

    def _keep(self, place: Place, connection: _Connection, *, reusable: bool) -> None:
        idle = self._idle.setdefault((place.host, place.port, place.tls), [])
        connection.used = True
        if reusable and len(idle) < _MAX_IDLE:
            idle.append(connection)
        else:
            connection.close()


async def _connect(place: Place) -> _Connection:
    context = ssl.create_default_context() if place.tls else None
    return _Connection(*await asyncio.open_connection(place.host, place.port, ssl=context))


def _request(http: h11.Connection, place: Place, headers: Headers, body: bytes) -> bytes:
    every = [("Host", place.authority), *headers, ("Content-Length", str(len(body)))]
    head = h11.Request(method="POST", target=place.target, headers=every)
    return b"".join(http.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage()))


async def _status(http: h11.Connection, connection: _Connection) -> int:
    status, heard = 0, False
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            piece = await _piece(connection, heard)
            http.receive_data(piece)
            heard = True
        elif isinstance(event, h11.InformationalResponse) and event.status_code == _PROCESSING:
            return _PROCESSING
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.EndOfMessage):
            return status


async def _piece(connection: _Connection, heard: bool) -> bytes:
    try:
        piece = await connection.reader.read(_PIECE_BYTES)
    except ConnectionError as error:
        raise error if heard or not connection.used else _ClosedWhileIdle() from error
    if not piece and connection.used and not heard:
        raise _ClosedWhileIdle
    return piece
