"""The wire of the local Vertex AI below Google's client: forms, limits, and what is not there."""

import httpx
import pytest

from tests.local.vertex.clients import PARENT, Clients


@pytest.fixture
def wire(google: Clients) -> httpx.Client:
    return httpx.Client(base_url=google.url)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/{PARENT}/pipelineJobs"),
        ("DELETE", f"/v1/{PARENT}/customJobs/1"),
        ("PUT", f"/v1/{PARENT}/models"),
        ("GET", "/"),
        ("GET", "/v2/x"),
    ],
)
def test_what_is_not_here_is_unimplemented_in_googles_form(wire: httpx.Client, method: str, path: str) -> None:
    with wire:
        answer = wire.request(method, path)
    assert (answer.status_code, answer.json()["error"]["status"]) == (501, "UNIMPLEMENTED")


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com:80", "localhost.example.com"])
def test_only_this_machine_may_ask(wire: httpx.Client, host: str) -> None:
    with wire:
        answer = wire.get(f"/v1/{PARENT}/models", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b'{"displayName": 7}',
        b'{"displayName": "a", "labels": []}',
        b'{"displayName": "a", "labels": {"a": 1}}',
        b'{"displayName": "a", "jobSpec": []}',
        b'{"displayName": "a", "jobSpec": {"workerPoolSpecs": {}}}',
        b'{"displayName": "a", "jobSpec": {"workerPoolSpecs": [7]}}',
        b'{"displayName": "a", "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"imageUri": "job", "args": 1}}]}}',
        b'{"displayName": "a", "jobSpec": {"workerPoolSpecs": [{"containerSpec": {"imageUri": ["shell"]}}]}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_malformed_job_is_refused_as_invalid(wire: httpx.Client, body: bytes) -> None:
    with wire:
        answer = wire.post(f"/v1/{PARENT}/customJobs", content=body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "split", ['{"1": "many"}', '{"1": 1.5}', '{"1": null}', '{"1": true}', "[]", '{"1": 99999999999}']
)
def test_a_malformed_split_is_refused_as_invalid(wire: httpx.Client, split: str) -> None:
    with wire:
        wire.post(f"/v1/{PARENT}/endpoints?endpointId=malformed", json={"displayName": "malformed"})
        url = f"/v1/{PARENT}/endpoints/malformed?updateMask=trafficSplit"
        answer = wire.patch(url, content=f'{{"trafficSplit": {split}}}')
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_operations_are_served_under_both_versions_of_the_path(wire: httpx.Client) -> None:
    with wire:
        made = wire.post(f"/v1/{PARENT}/endpoints", json={"displayName": "polled"}).json()
        for version in ("v1", "ui"):
            assert wire.get(f"/{version}/{made['name']}").json() == made
        assert made["done"] is True
        assert made["response"]["@type"].endswith(".v1.Endpoint")
        assert made["metadata"]["@type"].endswith(".CreateEndpointOperationMetadata")
        owner = made["name"].partition("/operations/")[0]
        assert wire.get(f"/v1/{owner}/operations").json() == {"operations": [made]}
        assert wire.get(f"/v1/{owner}/operations/1").status_code == 404


@pytest.mark.parametrize("query", ["pageSize=x", "pageSize=-1", "pageToken=nobody", "filter=owner%3Dme", "filter=%28"])
def test_a_list_that_makes_no_sense_is_refused_as_invalid(wire: httpx.Client, query: str) -> None:
    with wire:
        answer = wire.get(f"/v1/{PARENT}/customJobs?{query}")
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_request_beyond_the_limit_is_refused(wire: httpx.Client) -> None:
    with wire:
        answer = wire.post(f"/v1/{PARENT}/customJobs", content=b" " * 10_000_001)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
