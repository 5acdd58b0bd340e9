"""Just enough of an HTTP/1.1 server for the REST wire: one request after the other, each with a limit."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11

from local.errors import CloudError
from local.pubsub.limits import invalid
from local.pubsub.wire_rest import Request

MAX_BODY_BYTES = 20 * 1024 * 1024  # the largest publish in base64, and room to refuse what is larger by name
_MAX_HEAD_BYTES = 64 * 1024
Answer = Callable[[Request], Awaitable[tuple[int, bytes]]]


class HttpConnection(asyncio.Protocol):
    """One connection; what is being answered when it is lost is given up."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._head: h11.Request | None = None
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._advance(data)

    def _advance(self, data: bytes | None = None) -> None:
        try:
            if data is not None:
                self._http.receive_data(data)
            self._take_events()
        except h11.RemoteProtocolError:
            self._refuse(invalid("The request is not HTTP."))

    def _take_events(self) -> None:
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self._head, self._body = event, bytearray()
                if self._http.they_are_waiting_for_100_continue:
                    self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    self._refuse(invalid(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes."))
                    return
            elif isinstance(event, h11.EndOfMessage) and self._head is not None:
                self._task = asyncio.get_running_loop().create_task(self._respond(self._head, bytes(self._body)))
            elif isinstance(event, h11.ConnectionClosed):
                self._close()
                return

    async def _respond(self, head: h11.Request, body: bytes) -> None:
        host = next((value.decode("latin-1") for name, value in head.headers if name == b"host"), "")
        request = Request(head.method.decode(), head.target.decode("latin-1"), host, body)
        status, answer = await self._answer(request)
        self._send(status, answer)
        if self._http.our_state is h11.MUST_CLOSE:
            self._close()
            return
        self._http.start_next_cycle()
        self._advance()

    def _send(self, status: int, body: bytes, *further: tuple[str, str]) -> None:
        headers = [("Content-Type", "application/json; charset=UTF-8"), ("Content-Length", str(len(body))), *further]
        head = h11.Response(status_code=status, headers=headers, reason=_reason(status))
        content = b"" if self._head is not None and self._head.method == b"HEAD" else body
        self._write(b"".join(self._http.send(e) or b"" for e in (head, h11.Data(data=content), h11.EndOfMessage())))

    def _refuse(self, error: CloudError) -> None:
        """Answers what cannot be read to its end, and hangs up."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(error.http_code, error.rest_body(), ("Connection", "close"))
        self._close()

    def _write(self, data: bytes | None) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _reason(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode() if status in HTTPStatus._value2member_map_ else b""
