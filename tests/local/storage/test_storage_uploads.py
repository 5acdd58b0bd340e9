"""Uploads: every kind the JSON API has, the checksums, and resumable sessions interrupted in every way."""

import base64
import io
from typing import Any

import google_crc32c
import httpx
import pytest
from google.api_core.exceptions import PreconditionFailed

UPLOAD = "/upload/storage/v1/b/state/o"
LARGE = bytes(range(256)) * 4096
QUANTUM_BYTES = 256 * 1024


def crc32c(body: bytes) -> str:
    return base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()


def related(metadata: bytes, media: bytes, line_end: bytes = b"\r\n", content_type: bytes = b"text/csv") -> bytes:
    lines = [
        *(b"--frontier", b"Content-Type: application/json", b"", metadata),
        *(b"--frontier", b"content-type: " + content_type, b"", media),
        b"--frontier--",
    ]
    return line_end.join(lines)


def post_related(http: httpx.Client, body: bytes, boundary: str = '"frontier"', **query: Any) -> httpx.Response:
    content_type = f"multipart/related; boundary={boundary}"
    return http.post(
        UPLOAD, params={"uploadType": "multipart", **query}, content=body, headers={"Content-Type": content_type}
    )


def begin(http: httpx.Client, name: str = "x", headers: dict[str, str] | None = None, **query: Any) -> str:
    reply = http.post(UPLOAD, params={"uploadType": "resumable", "name": name, **query}, headers=headers, json={})
    assert reply.status_code == 200
    return reply.headers["location"]


def put(http: httpx.Client, location: str, body: bytes, content_range: str, **headers: str) -> httpx.Response:
    return http.put(location, content=body, headers={"Content-Range": content_range, **headers})


def test_a_media_upload_has_its_name_in_the_query_and_its_type_in_the_header(bucket: Any, http: httpx.Client) -> None:
    params = {"uploadType": "media", "name": "a/b"}
    reply = http.post(UPLOAD, params=params, content=b"1,2", headers={"Content-Type": "text/csv"})

    assert (reply.status_code, reply.json()["contentType"], reply.json()["size"]) == (200, "text/csv", "3")
    assert bucket.blob("a/b").download_as_bytes() == b"1,2"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
@pytest.mark.parametrize("boundary", ["frontier", '"frontier"', "'frontier'"])
@pytest.mark.parametrize("media", [b"", b"1,2\r\n", b"\n--frontie\r\n\r\n--frontierland\n", b"\r", LARGE])
def test_multipart_keeps_the_media_byte_by_byte(
    bucket: Any, http: httpx.Client, line_end: bytes, boundary: str, media: bytes
) -> None:
    reply = post_related(http, related(b'{"name": "x", "metadata": {"k": "v"}}', media, line_end), boundary)

    assert (reply.status_code, reply.json()["metadata"], reply.json()["contentType"]) == (200, {"k": "v"}, "text/csv")
    assert bucket.blob("x").download_as_bytes() == media


def test_a_multipart_body_larger_than_memory_is_meant_to_hold_is_parsed_too(bucket: Any, http: httpx.Client) -> None:
    media = LARGE * 3

    assert post_related(http, related(b'{"name": "x"}', media)).status_code == 200
    assert bucket.blob("x").download_as_bytes() == media


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--frontier",
        b"--frontier\r\n\r\n",
        b'--frontier\r\n\r\n{"name": "x"}\r\n--frontier--',
        related(b'{"name": "x"}', b"x")[:-2],
        related(b'{"name": "x"', b"x"),
        related(b"[" * 100_000, b"x"),
        related(b"[]", b"x"),
        related(b'{"name": 7}', b"x"),
        related(b'{"name": "\\ud800"}', b"x"),
        related(b'{"name": "x", "metadata": {"k": 1}}', b"x"),
        related(b'{"name": "x", "metadata": {"k": "\\udfff"}}', b"x"),
        related(b'{"name": "x", "contentType": "a\\r\\nb: c"}', b"x"),
        related(b'{"name": "x"}', b"x").replace(b"--frontier--", b"--frontier\r\n\r\nthird\r\n--frontier--"),
        related(b"{}", b"x"),
    ],
)
def test_a_malformed_multipart_body_is_refused_in_googles_form(bucket: Any, http: httpx.Client, body: bytes) -> None:
    reply = post_related(http, body)

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, 400)
    assert list(bucket.list_blobs()) == []


@pytest.mark.usefixtures("bucket")
def test_a_multipart_upload_without_a_boundary_is_refused(http: httpx.Client) -> None:
    for content_type in ("multipart/related", "text/plain; boundary=x", "multipart/related; boundary=", ""):
        reply = http.post(f"{UPLOAD}?uploadType=multipart", content=b"x", headers={"Content-Type": content_type})
        assert reply.status_code == 400


@pytest.mark.parametrize("field", ["crc32c", "md5Hash"])
def test_bytes_that_are_not_those_the_client_meant_are_refused(bucket: Any, http: httpx.Client, field: str) -> None:
    wrong = crc32c(b"other") if field == "crc32c" else "AAAAAAAAAAAAAAAAAAAAAA=="

    in_metadata = post_related(http, related(f'{{"name": "x", "{field}": "{wrong}"}}'.encode(), b"mine"))
    header = {"X-Goog-Hash": f"{field.removesuffix('Hash')}={wrong}"}
    in_header = http.post(UPLOAD, params={"uploadType": "media", "name": "x"}, content=b"mine", headers=header)

    assert (in_metadata.status_code, in_header.status_code) == (400, 400)
    assert list(bucket.list_blobs()) == []


def test_the_clients_chunked_upload_of_unknown_size_arrives_whole(bucket: Any) -> None:
    blob = bucket.blob("x", chunk_size=QUANTUM_BYTES)
    blob.upload_from_file(io.BytesIO(LARGE), if_generation_match=0)

    assert (bucket.blob("x").download_as_bytes(), blob.crc32c) == (LARGE, crc32c(LARGE))


def test_the_clients_file_like_writer_works(bucket: Any) -> None:
    with bucket.blob("x").open("wb", chunk_size=QUANTUM_BYTES) as file:
        file.write(LARGE)
        file.write(b"tail")

    assert bucket.blob("x").download_as_bytes() == LARGE + b"tail"


def test_a_session_of_nothing_is_an_empty_object(bucket: Any, http: httpx.Client) -> None:
    reply = put(http, begin(http), b"", "bytes */0")

    assert (reply.status_code, reply.json()["size"]) == (200, "0")
    assert bucket.blob("x").download_as_bytes() == b""


@pytest.mark.usefixtures("bucket")
def test_a_session_takes_the_whole_body_at_once(http: httpx.Client) -> None:
    reply = http.put(begin(http), content=b"whole")

    assert (reply.status_code, reply.json()["crc32c"]) == (200, crc32c(b"whole"))


def test_a_session_says_how_much_it_has(bucket: Any, http: httpx.Client) -> None:
    location = begin(http)

    def status() -> tuple[int, str | None]:
        reply = put(http, location, b"", "bytes */*")
        return reply.status_code, reply.headers.get("range")

    assert status() == (308, None)
    assert put(http, location, LARGE[:QUANTUM_BYTES], f"bytes 0-{QUANTUM_BYTES - 1}/*").status_code == 308
    assert status() == (308, f"bytes=0-{QUANTUM_BYTES - 1}")
    assert not bucket.blob("x").exists()


def test_a_chunk_sent_again_after_a_lost_reply_is_not_doubled(bucket: Any, http: httpx.Client) -> None:
    location = begin(http)
    for _ in range(2):
        put(http, location, LARGE[:QUANTUM_BYTES], f"bytes 0-{QUANTUM_BYTES - 1}/*")
    last = len(LARGE) - 1
    for _ in range(2):
        reply = put(http, location, LARGE, f"bytes 0-{last}/{len(LARGE)}")
        assert (reply.status_code, reply.json()["crc32c"]) == (200, crc32c(LARGE))

    assert bucket.blob("x").download_as_bytes() == LARGE


def test_a_finished_session_answers_with_its_object_even_after_that_was_overwritten(
    bucket: Any, http: httpx.Client
) -> None:
    location = begin(http)
    first = http.put(location, content=b"first").json()
    bucket.blob("x").upload_from_string(b"second")

    again = put(http, location, b"", "bytes */5")

    assert (again.status_code, again.json()["generation"]) == (200, first["generation"])
    assert bucket.blob("x").download_as_bytes() == b"second"


@pytest.mark.parametrize(
    ("content_range", "body"),
    [
        ("bytes 10-12/*", b"gap"),
        ("bytes 0-9/*", b"short"),
        ("bytes 0-2/*", b"too long"),
        ("bytes 5-2/*", b"x"),
        ("bytes 0-9/5", b"0123456789"),
        ("bytes x-y/z", b"x"),
        ("lines 0-1/2", b"ab"),
    ],
)
def test_a_chunk_that_does_not_fit_is_refused(bucket: Any, http: httpx.Client, content_range: str, body: bytes) -> None:
    assert put(http, begin(http), body, content_range).status_code == 400
    assert not bucket.blob("x").exists()


def test_a_session_ends_without_an_object_when_the_checksum_is_wrong(bucket: Any, http: httpx.Client) -> None:
    location = begin(http)
    header = {"X-Goog-Hash": f"crc32c={crc32c(b'other')}"}

    assert put(http, location, b"mine", "bytes 0-3/4", **header).status_code == 400
    assert put(http, location, b"", "bytes */*").status_code == 404
    assert not bucket.blob("x").exists()


@pytest.mark.usefixtures("bucket")
def test_a_session_keeps_to_the_size_it_was_announced_with(http: httpx.Client) -> None:
    location = begin(http, headers={"X-Upload-Content-Length": "10"})

    assert put(http, location, b"mine", "bytes 0-3/4").status_code == 400


def test_the_precondition_of_a_session_is_decided_when_it_ends(bucket: Any, http: httpx.Client) -> None:
    location = begin(http, ifGenerationMatch=0)
    bucket.blob("x").upload_from_string(b"faster")

    late = http.put(location, content=b"slower")
    hopeless = http.post(UPLOAD, params={"uploadType": "resumable", "name": "x", "ifGenerationMatch": 0}, json={})

    assert (late.status_code, hopeless.status_code) == (412, 412)
    assert bucket.blob("x").download_as_bytes() == b"faster"


def test_the_clients_resumable_create_is_refused_when_the_name_is_taken(bucket: Any) -> None:
    bucket.blob("x").upload_from_string(b"1")

    with pytest.raises(PreconditionFailed):
        bucket.blob("x", chunk_size=QUANTUM_BYTES).upload_from_file(io.BytesIO(LARGE), if_generation_match=0)


@pytest.mark.usefixtures("bucket")
def test_a_cancelled_session_is_gone(http: httpx.Client) -> None:
    location = begin(http)
    put(http, location, b"0123", "bytes 0-3/*")

    assert http.delete(location).status_code == 499
    assert put(http, location, b"", "bytes */*").status_code == 404
    assert http.delete(location).status_code == 404


@pytest.mark.usefixtures("bucket")
def test_an_unknown_kind_of_upload_is_refused(http: httpx.Client) -> None:
    assert http.post(UPLOAD, params={"uploadType": "carrier-pigeon", "name": "x"}).status_code == 400
    assert http.post(UPLOAD, params={"uploadType": "media"}, content=b"x").status_code == 400
