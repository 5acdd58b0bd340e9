"""HTTP as clients really speak it: in pieces, in a row without waiting, too much, too slowly, or not at all."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving_image.connection import IDLE_SECONDS, MAX_HEADER_BYTES, MAX_PIPELINED, Connection, Reply, Server

BODY_BYTES = 1_000
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


class Echo:
    """Answers with what it was asked: at once, or in the opposite order when told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] | None = None
        self.refusals: list[int] = []

    def handle(self, method: bytes, path: bytes, body: bytes, reply: Reply) -> None:
        if path == b"/broken":
            raise RuntimeError("a secret")
        if path == b"/broken-after":
            reply(200, b"text/plain", b"answered")
            raise RuntimeError("a secret")

        def answer() -> None:
            reply(200, b"text/plain", b"%b %b %b" % (method, path, body))

        answer() if self.held is None else self.held.append(answer)

    def refused(self, status: int, error: str, reply: Reply) -> None:
        self.refusals.append(status)
        reply(status, b"application/json", json.dumps({"error": error}).encode())

    def release(self) -> None:
        for answer in reversed(self.held or []):
            answer()
        self.held = None


class World:
    """A server on a real socket with a clock that the test moves."""

    def __init__(self, connections: int = 10) -> None:
        self.echo = Echo()
        self.now = 0.0
        self.server = Server(self.echo, BODY_BYTES, connections, lambda: self.now)
        self.server.date = b"Thu, 01 Jan 1970 00:00:00 GMT"

    def talk(self, *talks: Talk) -> list[Any]:
        """What each talk over a connection of its own gives; the talks take place one after another."""

        async def go() -> list[Any]:
            listener = await asyncio.get_running_loop().create_server(lambda: Connection(self.server), "127.0.0.1", 0)
            writers, heard = [], []
            for talk in talks:
                reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
                writers.append(writer)
                heard.append(await asyncio.wait_for(talk(reader, writer), 10))
            for writer in writers:
                writer.close()
            listener.close()
            await listener.wait_closed()
            await asyncio.wait_for(self._left(), 10)
            await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
            return heard

        return asyncio.run(go())

    async def _left(self) -> None:
        """Until no connection is open any more: one that outlives its loop would be another test's trouble."""
        while self.server.connections:
            for connection in list(self.server.connections):
                connection.close()
            await asyncio.sleep(0.001)

    def sent(self, *pieces: bytes, answers: int) -> list[tuple[int, bytes]]:
        """The first answers to bytes sent in these pieces."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[tuple[int, bytes]]:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return [await answer(reader) for _ in range(answers)]

        (heard,) = self.talk(talk)
        return list(heard)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length, head
    return int(head.split()[1]), await reader.readexactly(int(length[1]))


def request(path: str = "/a", body: bytes = b"x", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: h\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def until(truth: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + 10
    while not truth():
        assert asyncio.get_running_loop().time() < end, "it did not come true in time"
        await asyncio.sleep(0.001)


def test_a_request_may_come_in_any_pieces() -> None:
    whole = request("/a?b=c", b"body", "X-Long: " + "y" * 500 + "\r\n")
    assert World().sent(*[whole[place : place + 1] for place in range(len(whole))], answers=1) == [
        (200, b"POST /a body")
    ]


def test_a_body_may_come_in_chunks() -> None:
    head = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert World().sent(head, b"2\r\nab\r\n", b"3\r\ncde\r\n0\r\n\r\n", answers=1) == [(200, b"POST /a abcde")]


def test_answers_come_in_the_order_of_the_requests_whichever_is_ready_first() -> None:
    world = World()
    world.echo.held = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[tuple[int, bytes]]:
        writer.write(b"".join(request(f"/{number}", b"") for number in range(20)))
        await until(lambda: len(world.echo.held or []) == 20)
        world.echo.release()
        return [await answer(reader) for _ in range(20)]

    (heard,) = world.talk(talk)
    assert heard == [(200, f"POST /{number} ".encode()) for number in range(20)]


def test_a_handler_that_breaks_off_is_our_mistake_and_the_connection_goes_on() -> None:
    world = World()
    assert world.sent(request("/broken") + request("/broken-after"), request("/c"), answers=3) == [
        (500, b'{"error":"internal error"}'),
        (200, b"answered"),
        (200, b"POST /c x"),
    ]
    assert world.echo.refusals == []


def test_who_asks_without_ever_reading_is_not_read_without_end() -> None:
    world = World()
    world.echo.held = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        for _ in range(MAX_PIPELINED):
            writer.write(request())
            await writer.drain()
        await until(lambda: len(world.echo.held or []) == MAX_PIPELINED)
        for _ in range(50):
            writer.write(request())
            await asyncio.sleep(0)
        assert len(world.echo.held or []) == MAX_PIPELINED
        world.echo.release()
        return len([await answer(reader) for _ in range(MAX_PIPELINED + 50)])

    assert world.talk(talk) == [MAX_PIPELINED + 50]


@pytest.mark.parametrize("pieces", [1, 200])
def test_what_is_too_large_is_refused_and_the_answer_arrives_though_the_client_sends_on(pieces: int) -> None:
    world = World()
    body = b"x" * 2_000_000
    whole = request("/a", body)
    size = -(-len(whole) // pieces)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        for place in range(0, len(whole), size):
            writer.write(whole[place : place + size])
            await writer.drain()
        heard = await answer(reader)
        assert await reader.read() == b""
        return heard

    ((status, content),) = world.talk(talk)
    assert (status, json.loads(content)) == (413, {"error": f"the request is larger than {BODY_BYTES} bytes"})
    assert world.echo.refusals == [413]


def test_the_largest_body_that_is_allowed_is_read() -> None:
    assert World().sent(request("/", b"x" * BODY_BYTES), answers=1)[0][0] == 200
    assert World().sent(request("/", b"x" * (BODY_BYTES + 1)), answers=1)[0][0] == 413


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\n" + b"X: y\r\n" * MAX_HEADER_BYTES, 431),
        (b"GET /" + b"y" * MAX_HEADER_BYTES, 431),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason_after_what_came_before_it(content: bytes, status: int) -> None:
    (first, second) = World().sent(request() + content, answers=2)
    assert (first, second[0], bool(json.loads(second[1])["error"])) == ((200, b"POST /a x"), status, True)


def test_a_header_without_end_is_refused() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        writer.write(b"GET /a HTTP/1.1\r\nX: ")
        heard = asyncio.ensure_future(answer(reader))
        while not heard.done():
            writer.write(b"y" * 1_000)
            await writer.drain()
            await asyncio.sleep(0)
        return await heard

    ((status, _),) = World().talk(talk)
    assert status == 431


def test_a_client_that_asks_whether_it_may_send_is_told_to() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        whole = request("/a", b"body", "Expect: 100-continue\r\n")
        writer.write(whole[:-4])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(whole[-4:])
        return await answer(reader)

    assert World().talk(talk) == [(200, b"POST /a body")]


@pytest.mark.parametrize(
    "ask",
    [
        b"GET /a HTTP/1.0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"HEAD /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_who_does_not_want_to_stay_is_let_go(ask: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(ask + request())
        return await reader.read()

    (heard,) = World().talk(talk)
    assert (heard.count(b"HTTP/1.1"), b"connection: close" in heard) == (1, True)


def test_more_connections_than_allowed_are_told_so() -> None:
    async def stay(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST")

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> tuple[int, bytes]:
        heard = await answer(reader)
        assert await reader.read() == b""
        return heard

    _, _, (status, _) = World(2).talk(stay, stay, listen)
    assert status == 503


@pytest.mark.parametrize("begun", [b"POST /a HT", b"POST /a HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"])
def test_a_request_that_does_not_come_in_whole_is_given_up(begun: bytes) -> None:
    world = World()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        writer.write(begun)
        await until(lambda: any(not each.idle for each in world.server.connections))
        world.now += 29
        world.server.expire(30)
        writer.write(begun[-1:] * 0)
        world.now += 2
        world.server.expire(30)
        heard = await answer(reader)
        world.now += 31
        world.server.expire(30)
        await until(lambda: not world.server.connections)
        return heard

    ((status, _),) = world.talk(talk)
    assert status == 408


def test_a_connection_may_rest_between_requests_but_not_for_ever() -> None:
    world = World()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        for _ in range(2):
            writer.write(request())
            await answer(reader)
            world.now += IDLE_SECONDS - 1
            world.server.expire(30)
        world.now += 2
        world.server.expire(30)
        return await reader.read()

    assert world.talk(talk) == [b""]


def test_a_client_that_does_not_take_its_answers_is_given_up() -> None:
    world = World()

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"x" * BODY_BYTES
        while not any(each._stuck is not None for each in world.server.connections):
            writer.write(request("/", body) * 50)
            await asyncio.sleep(0)
        world.now += 31
        world.server.expire(30)
        await until(lambda: not world.server.connections)
        writer.transport.abort()

    world.talk(talk)
