"""One port for both wires: the first bytes of a connection say whose it is.

HTTP/2 (gRPC) begins with a preface that no HTTP/1.1 request begins with. Such a connection is carried to the gRPC
server's socket, byte for byte; any other is REST. A browser speaks HTTP/2 only under TLS, so a web page whose name was
made to point at this machine comes in by REST, where the Host is checked.
"""

import asyncio
from collections.abc import Callable

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Doorkeeper(asyncio.Protocol):
    """Reads the first bytes of a connection and hands it on."""

    def __init__(self, http: Callable[[], asyncio.Protocol], grpc_socket: str) -> None:
        self._http = http
        self._grpc_socket = grpc_socket
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._read += data
        if self._read.startswith(_PREFACE):
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._to_grpc(self._transport))
        elif not _PREFACE.startswith(self._read):
            protocol = self._http()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(self._read)

    async def _to_grpc(self, client: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            server, _ = await loop.create_unix_connection(lambda: _Half(client), self._grpc_socket)
        except OSError:
            client.abort()
            return
        if client.is_closing():
            server.close()
            return
        client.set_protocol(_Half(server))
        server.write(self._read)
        client.resume_reading()


class _Half(asyncio.Protocol):
    """One side of a carried connection: what it says goes to the other side, as fast as that one takes it."""

    def __init__(self, other: asyncio.Transport) -> None:
        self._other = other

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._other.close()

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        self._other.resume_reading()
