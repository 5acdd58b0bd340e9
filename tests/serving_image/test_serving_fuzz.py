"""Whatever clients send, each request is answered exactly once, nothing is left waiting, and the next one is served."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from functools import cache
from math import isfinite
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving_image.connection import Connection, Server
from serving_image.service import Service
from tests.local.fuzzing import EXAMPLES
from tests.serving_image.test_connection import answer
from tests.serving_image.toys import Container, instances

T = TypeVar("T")
PLAIN = json.dumps({"instances": instances(1)}).encode()
SECONDS = 10
HALF = rb'{"size": 1, "colour": "red", "\ud800": 1}'


def object_of(members: Sequence[tuple[str, str]]) -> str:
    """An object in which a name may stand twice."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in members) + "}"


def list_of(items: Sequence[str]) -> str:
    return "[" + ", ".join(items) + "]"


def rarely(rare: st.SearchStrategy[T], usual: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """One in ten: what spoils a whole request must leave most of them to be read."""
    return st.sampled_from([usual] * 9 + [rare]).flatmap(lambda chosen: chosen)


# JSON as it is written, for much of it is nothing that Python's own types could say.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=6)
TEXTS = (
    ANY_TEXT.map(json.dumps)
    | ANY_TEXT.map(lambda text: json.dumps(text, ensure_ascii=False))
    | st.sampled_from([r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', '"\ud800"', '""'])
)
NUMBERS = (
    (st.integers() | st.floats()).map(json.dumps)
    | st.integers(300, 4_000).map(lambda digits: "9" * digits)
    | st.sampled_from(["NaN", "-Infinity", "1e999", "-1E+39", "3.4028234663852886e38", "1e-400", "-0"])
)
NO_JSON = st.sampled_from(["nul", "01", "+1", "9" * 5_000, '"', "[" * 100_000])
CELLS = rarely(NO_JSON, st.sampled_from(["null", "true", "[]", "{}"]) | NUMBERS | TEXTS)
NESTED = st.builds(
    lambda depth, inner, way: way[0] * depth + inner + way[1] * depth,
    st.integers(1, 900) | st.just(3_000), CELLS, st.sampled_from([("[", "]"), ('{"size": ', "}")]),
)  # fmt: skip
VALUES = CELLS | NESTED | st.lists(CELLS, max_size=3).map(list_of)
MEMBERS = st.tuples(st.sampled_from(['"size"', '"colour"', '"instances"', '"parameters"']) | TEXTS, VALUES)
GOOD_MEMBERS = [('"size"', "1"), ('"colour"', '"red"')]
NEARLY_GOOD = st.lists(MEMBERS, max_size=2).map(lambda more: object_of([*GOOD_MEMBERS, *more]))
ROWS = st.sampled_from([object_of(GOOD_MEMBERS), '[null, ""]']) | NEARLY_GOOD | VALUES
REQUESTS = st.builds(
    lambda rows, parameters, more: object_of([('"instances"', list_of(rows)), ('"parameters"', parameters), *more]),
    st.lists(ROWS, min_size=1, max_size=3),
    rarely(VALUES, st.sampled_from(["null", '{"probabilities": true}'])),
    rarely(st.lists(MEMBERS, max_size=1), st.just([])),
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32-le"])


def bodies(texts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    whole = st.builds(lambda text, encoding: text.encode(encoding, "surrogatepass"), texts, ENCODINGS)
    return rarely(st.binary(max_size=40) | whole.map(lambda body: body[:-1]), whole)


POSTED = st.tuples(st.just("/answer"), bodies(REQUESTS)) | st.tuples(st.just("/score"), bodies(NEARLY_GOOD))
ASKED = st.lists(POSTED, min_size=1, max_size=4)
FIELDS = [
    b"Content-Encoding: gzip", b"Content-Type: text/plain; charset=utf-16", b"X-Request-Id: \xed\xa0\x80\xff",
    b"Expect: 100-continue", b"X-Request-Id: a: b\t",
]  # fmt: skip
NO_FIELDS = [b"Accept-Encoding: g\x00zip", b"X Y: z", b"Content-Length: 1"]
ELSEWHERE = st.tuples(st.sampled_from(["/live?%ff", "/metrics", "*", "/\ud83d", "/a b"]), st.just(PLAIN))
WIRED = st.lists(
    st.tuples(
        rarely(st.sampled_from([b"GET", b"OPTIONS"]), st.just(b"POST")),
        rarely(ELSEWHERE, POSTED),
        rarely(st.sampled_from(NO_FIELDS), st.sampled_from(FIELDS)),
        st.booleans(),
    ),
    max_size=4,
)


@cache
def container() -> Container:
    return Container()


def check(status: int, content: bytes) -> None:
    """A right answer or a refusal of the client's mistake, as JSON that everybody can read."""
    assert status in (200, 400, 404), content
    told = json.loads(content.decode(), parse_constant=pytest.fail)
    for each in told.get("predictions", [told] if "label" in told else []):
        assert "error" in each or isfinite(each["probability"])
    assert status == 200 or told["error"]


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(asked=ASKED)
@example(asked=[("/score", HALF), ("/answer", b'{"instances": [[1, "red"], ' + HALF + b"]}")])
def test_no_body_is_an_internal_error_or_takes_anybody_elses_answer(asked: list[tuple[str, bytes]]) -> None:
    service = container().asked
    requests = [("POST", path, body) for path, body in asked]
    first, *answers, last = service.together([("POST", "/answer", PLAIN), *requests, ("POST", "/answer", PLAIN)])
    for status, content in answers:
        check(status, content)
    assert (first[0], last[0], service.service.waiting) == (200, 200, 0)
    assert container().interval().errors == 0


def wire(method: bytes, asked: tuple[str, bytes], field: bytes, chunked: bool) -> bytes:
    path, body = asked
    framed = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    head = b"\r\n".join(
        [b"%b %b HTTP/1.1" % (method, path.encode(errors="surrogatepass")), b"Host: h", field, framed, b"", b""]
    )
    return head + (b"".join(chunks(body)) if chunked else body)


def chunks(body: bytes) -> Iterator[bytes]:
    for place in range(0, len(body), 7):
        yield b"%x;ext=y\r\n%b\r\n" % (len(body[place : place + 7]), body[place : place + 7])
    yield b"0\r\nTrailer: \xed\xa0\x80\r\n\r\n"


async def pipelined(asked: bytes) -> tuple[bytes, int]:
    """All that a connection says to requests of which the last one closes it, and what is left waiting in the end."""
    loop = asyncio.get_running_loop()
    service = Service(container().configuration.routes, container().configuration.limits, loop.call_soon)
    service.open(container().loaded)
    server = Server(service, 1_500_000, 2, loop.time)
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0)
    address = listener.sockets[0].getsockname()
    (reader, writer), (other_reader, other_writer) = [await asyncio.open_connection(*address) for _ in range(2)]
    writer.write(asked)
    other_writer.write(wire(b"POST", ("/answer", PLAIN), b"A: b", False))
    heard = await asyncio.wait_for(reader.read(), SECONDS)
    assert (await asyncio.wait_for(answer(other_reader), SECONDS))[0] == 200
    for each in (writer, other_writer):
        each.close()
        await each.wait_closed()
    listener.close()
    while server.connections:
        await asyncio.sleep(0)
    return heard, service.waiting


@settings(max_examples=EXAMPLES, deadline=None)
@given(asked=WIRED)
@example(asked=[(b"POST", ("/score", HALF), b"A: b", False)])
def test_no_pipelined_request_is_an_internal_error_or_goes_without_its_answer(asked: list[Any]) -> None:
    last = wire(b"POST", ("/answer", PLAIN), b"Connection: close", False)
    heard, waiting = asyncio.run(pipelined(b"".join(wire(*each) for each in asked) + last))
    statuses = [each.split()[0] for each in heard.split(b"HTTP/1.1 ")[1:] if not each.startswith(b"100 ")]
    refused = statuses[-1] == b"400" and b"this is not HTTP" in heard
    assert refused or (len(statuses), statuses[-1]) == (len(asked) + 1, b"200"), heard
    assert set(statuses) <= {b"200", b"400", b"404"}, heard
    assert waiting == 0
