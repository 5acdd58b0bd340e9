"""Whatever is sent, the answer is Google's form of a refusal, never a traceback, and the next request is served."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.fuzzing import EXAMPLES, JSON, TOKENS, check_answer


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "localhost.evil", "127.0.0.1@evil", ""])
def test_a_host_that_is_not_loopback_is_refused(http: httpx.Client, host: str) -> None:
    reply = http.get("/storage/v1/b?project=p", headers={"Host": host})

    assert (reply.status_code, reply.json()["error"]["errors"][0]["reason"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:80", "localhost:1234"])
def test_every_name_of_loopback_is_served(http: httpx.Client, host: str) -> None:
    assert http.get("/storage/v1/b?project=p", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/storage/v1/b/state/iam"),
        ("POST", "/storage/v1/b/state/o/x/compose"),
        ("POST", "/batch/storage/v1"),
        ("GET", "/storage/v1/b/state/o/x/acl"),
        ("POST", "/storage/v1/b/state/o"),
        ("POST", "/storage/v1/b/state/o/x"),
        ("PUT", "/storage/v1/b"),
        ("POST", "/storage/v1/b/state"),
        ("PUT", "/storage/v1/b/state/notificationConfigs"),
        ("PUT", "/storage/v1/b/state/notificationConfigs/1"),
        ("PUT", "/upload/storage/v1/b/state/o"),
    ],
)
def test_what_is_not_implemented_says_so_in_googles_form(http: httpx.Client, method: str, path: str) -> None:
    reply = http.request(method, path)

    assert reply.status_code == 501
    assert reply.json()["error"]["errors"][0]["reason"] == "notImplemented"


@pytest.mark.usefixtures("bucket")
def test_a_field_that_would_have_to_act_and_does_not_is_refused(http: httpx.Client) -> None:
    params = {"uploadType": "media", "name": "x"}
    http.post("/upload/storage/v1/b/state/o", params=params, content=b"x")

    assert http.patch("/storage/v1/b/state/o/x", json={"temporaryHold": True}).status_code == 501
    key = {"x-goog-encryption-algorithm": "AES256"}
    assert http.get("/download/storage/v1/b/state/o/x", headers=key).status_code == 501
    assert http.post("/upload/storage/v1/b/state/o", params=params, content=b"x", headers=key).status_code == 501


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "path",
    ["/storage/v1/b/%ff", "/storage/v1/b/state/o/%c3", "/storage/v1/b?project=%ff", "/storage/v1/b?" + "a&" * 200],
)
def test_a_url_that_is_not_text_is_refused(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 400


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("parameter", ["generation", "ifGenerationMatch", "ifMetagenerationNotMatch"])
@pytest.mark.parametrize("value", ["x", "", "1.0", str(2**63), "9" * 400, "0x1", "١"])
def test_a_number_that_is_none_is_refused(http: httpx.Client, parameter: str, value: str) -> None:
    assert http.get("/storage/v1/b/state/o/x", params={parameter: value}).status_code == 400


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"x" * 2**21])
def test_a_body_that_is_no_json_object_is_refused(http: httpx.Client, body: bytes) -> None:
    for method, path in (("PATCH", "/storage/v1/b/state"), ("POST", "/storage/v1/b?project=p")):
        assert http.request(method, path, content=body).status_code in (400, 413)


_FIELDS = """name metadata contentType customTime storageClass labels versioning topic payload_format event_types cors
location lifecycle custom_attributes object_name_prefix crc32c md5Hash acl temporaryHold retentionPolicy"""
FIELDS = st.sampled_from(_FIELDS.split())
PATHS = st.sampled_from(
    [
        "/storage/v1/b?project=p",
        "/storage/v1/b/state",
        "/storage/v1/b/state/o/x",
        "/storage/v1/b/state/o/x/copyTo/b/state/o/y",
        "/storage/v1/b/state/o/x/rewriteTo/b/state/o/%2F",
        "/storage/v1/b/state/notificationConfigs",
        "/upload/storage/v1/b/state/o?uploadType=resumable&name=x",
        "/upload/storage/v1/b/state/o?uploadType=multipart",
    ]
)
_PARAMETERS = "generation ifGenerationMatch ifMetagenerationMatch maxResults pageToken prefix delimiter upload_id alt"
PARAMETERS = st.sampled_from(_PARAMETERS.split())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    path=PATHS,
    body=st.dictionaries(FIELDS, JSON, max_size=4),
    query=st.dictionaries(PARAMETERS, TOKENS, max_size=2),
    headers=st.dictionaries(
        st.sampled_from(["Range", "Content-Range", "Content-Type", "If-Match", "X-Goog-Hash"]), TOKENS
    ),
)
def test_no_request_finds_an_internal_error_and_a_right_one_is_still_answered(
    http: httpx.Client,
    client: Any,
    method: str,
    path: str,
    body: dict[str, Any],
    query: dict[str, str],
    headers: dict[str, str],
) -> None:
    client.lookup_bucket("state") or client.create_bucket("state")
    client.bucket("state").blob("x").upload_from_string(b"right")

    reply = http.request(method, path, json=body, params=dict(httpx.URL(path).params) | query, headers=headers)

    check_answer(reply)
    if client.lookup_bucket("state"):
        client.bucket("state").blob("y").upload_from_string(b"right")
        assert client.bucket("state").blob("y").download_as_bytes() == b"right"
