"""Faults on request: what fails, what has happened all the same, and that Google's client carries on."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import PreconditionFailed, ServiceUnavailable, TooManyRequests

from local.storage import Server, running


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as http:
        yield http
        for script in http.get("/retry_tests").json()["retry_test"]:
            http.delete(f"/retry_test/{script['id']}")


def script(http: httpx.Client, method: str, *instructions: str, **more: Any) -> str:
    made = http.post("/retry_test", json={"instructions": {method: list(instructions)}, **more})
    assert made.status_code == 200
    return str(made.json()["id"])


def put(http: httpx.Client, name: str, test: str = "") -> httpx.Response:
    params: dict[str, Any] = {"uploadType": "media", "name": name, "ifGenerationMatch": 0}
    return http.post("/upload/storage/v1/b/state/o", params=params, content=b"x", headers={"x-retry-test-id": test})


def exists(http: httpx.Client, name: str) -> bool:
    return http.get(f"/storage/v1/b/state/o/{name}").status_code == 200


@pytest.mark.parametrize(("code", "reason"), [(429, "rateLimitExceeded"), (503, "backendError")])
@pytest.mark.usefixtures("bucket")
def test_a_refusal_before_the_effect_changes_nothing(http: httpx.Client, code: int, reason: str) -> None:
    test = script(http, "storage.objects.insert", f"return-{code}")
    refused = put(http, "a", test)
    assert (refused.status_code, refused.json()["error"]["errors"][0]["reason"]) == (code, reason)
    assert not exists(http, "a")
    assert put(http, "a", test).status_code == 200


@pytest.mark.usefixtures("bucket")
def test_a_refusal_after_the_effect_leaves_the_effect(http: httpx.Client) -> None:
    test = script(http, "storage.objects.insert", "return-503-after-effect")
    assert put(http, "a", test).status_code == 503
    assert exists(http, "a")
    assert put(http, "a", test).status_code == 412


@pytest.mark.parametrize(("instruction", "done"), [("", False), ("-after-effect", True)])
@pytest.mark.usefixtures("bucket")
def test_a_reset_connection_gives_no_answer(http: httpx.Client, instruction: str, done: bool) -> None:
    test = script(http, "storage.objects.insert", f"return-reset-connection{instruction}")
    with pytest.raises(httpx.TransportError):
        put(http, "a", test)
    assert exists(http, "a") is done


@pytest.mark.usefixtures("bucket")
def test_only_the_scripted_method_with_the_header_fails_and_the_script_tells_what_is_left(http: httpx.Client) -> None:
    test = script(http, "storage.objects.get", "return-503", "return-429")
    assert put(http, "a/b", test).status_code == 200
    path, header = "/storage/v1/b/state/o/a%2Fb", {"x-retry-test-id": test}
    assert http.get(path).status_code == 200
    assert [http.get(path, headers=header).status_code for _ in range(3)] == [503, 429, 200]
    told = http.get(f"/retry_test/{test}").json()
    assert told == {"id": test, "instructions": {"storage.objects.get": []}, "completed": True, "transport": "HTTP"}
    assert told in http.get("/retry_tests").json()["retry_test"]
    assert http.delete(f"/retry_test/{test}").json() == told
    assert http.get(path, headers=header).status_code == 404


@pytest.mark.parametrize("fault", ["return-503", "return-429", "return-reset-connection"])
def test_googles_client_carries_on_after_a_fault(http: httpx.Client, bucket: Any, fault: str) -> None:
    test = script(http, "storage.objects.insert", fault, everyone=True)
    bucket.blob("kept").upload_from_string("kept")
    assert bucket.blob("kept").download_as_bytes() == b"kept"
    assert http.get(f"/retry_test/{test}").json()["completed"]


@pytest.mark.parametrize("fault", ["return-503-after-effect", "return-reset-connection-after-effect"])
def test_a_create_whose_answer_is_lost_looks_like_somebody_elses(http: httpx.Client, bucket: Any, fault: str) -> None:
    script(http, "storage.objects.insert", fault, everyone=True)
    with pytest.raises(PreconditionFailed):
        bucket.blob("mine").upload_from_string("mine", if_generation_match=0)
    assert bucket.blob("mine").download_as_bytes() == b"mine"


def test_without_retries_googles_client_raises_the_fault(http: httpx.Client, bucket: Any) -> None:
    script(http, "storage.objects.list", "return-503", "return-429", everyone=True)
    for kind in (ServiceUnavailable, TooManyRequests):
        with pytest.raises(kind):
            list(bucket.list_blobs(retry=None))
    assert list(bucket.list_blobs(retry=None)) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"instructions": []}', b'{"instructions": {"m": 1}}', b'{"instructions": {"m": ["stall"]}}'],
)
def test_a_script_that_makes_no_sense_is_refused(http: httpx.Client, body: bytes) -> None:
    assert http.post("/retry_test", content=body).status_code == 400


def test_scripts_are_written_only_from_this_machine(http: httpx.Client) -> None:
    assert http.post("/retry_test", json={"instructions": {}}, headers={"Host": "example.com"}).status_code == 403
    assert http.put("/retry_test", json={}).status_code == 501


def test_a_second_write_within_a_second_is_refused_where_that_is_asked_for(tmp_path: Any, connect: Any) -> None:
    now = [1_000_000_000]
    with running(tmp_path, clock=lambda: now[0], limits_writes=True) as server:
        bucket = connect(server.url).create_bucket("limited")
        blob, other = bucket.blob("a"), bucket.blob("b")
        blob.upload_from_string("1", retry=None)
        other.upload_from_string("1", retry=None)
        for write in (
            lambda: blob.upload_from_string("2", retry=None),
            lambda: blob.patch(retry=None),
            lambda: blob.delete(retry=None),
        ):
            with pytest.raises(TooManyRequests, match="exceeded the rate limit"):
                write()
        assert blob.download_as_bytes() == b"1"
        now[0] += 1_000_000
        blob.upload_from_string("2", retry=None)
        assert blob.download_as_bytes() == b"2"
