"""Concurrent requests: a precondition holds for exactly one of them, and counters count each of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from local.storage import Server

CLIENTS = 8
UPLOAD = "/upload/storage/v1/b/state/o"


def at_once(server: Server, request: Any) -> list[httpx.Response]:
    """The answers to `request(http, number)` of several clients that start together."""
    barrier = threading.Barrier(CLIENTS)

    def run(number: int) -> httpx.Response:
        with httpx.Client(base_url=server.url, verify=False) as http:
            http.get("/storage/v1/b/state")
            barrier.wait()
            reply: httpx.Response = request(http, number)
            return reply

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


@pytest.mark.parametrize("times", [1, 8192], ids=["small", "large"])
def test_of_simultaneous_creates_exactly_one_succeeds(server: Server, bucket: Any, times: int) -> None:
    def create(http: httpx.Client, number: int) -> httpx.Response:
        params: dict[str, Any] = {"uploadType": "media", "name": "claim", "ifGenerationMatch": 0}
        return http.post(UPLOAD, params=params, content=b"%016d" % number * times)

    replies = at_once(server, create)

    assert sorted(reply.status_code for reply in replies) == [200] + [412] * (CLIENTS - 1)
    [winner] = [number for number, reply in enumerate(replies) if reply.status_code == 200]
    assert bucket.blob("claim").download_as_bytes() == b"%016d" % winner * times


def test_of_simultaneous_sessions_exactly_one_creates_the_object(server: Server, bucket: Any) -> None:
    def create(http: httpx.Client, number: int) -> httpx.Response:
        params: dict[str, Any] = {"uploadType": "resumable", "name": "claim", "ifGenerationMatch": 0}
        begun = http.post(UPLOAD, params=params, json={})
        return http.put(begun.headers["location"], content=b"%d" % number) if begun.status_code == 200 else begun

    replies = at_once(server, create)

    assert sorted(reply.status_code for reply in replies) == [200] + [412] * (CLIENTS - 1)
    assert bucket.blob("claim").exists()


def test_simultaneous_overwrites_of_a_generation_succeed_once(server: Server, bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"0")

    def overwrite(http: httpx.Client, number: int) -> httpx.Response:
        params: dict[str, Any] = {"uploadType": "media", "name": "x", "ifGenerationMatch": blob.generation}
        return http.post(UPLOAD, params=params, content=b"%d" % number)

    assert [reply.status_code for reply in at_once(server, overwrite)].count(200) == 1


def test_no_simultaneous_metadata_change_is_lost(server: Server, bucket: Any) -> None:
    bucket.blob("x").upload_from_string(b"x")

    def patch(http: httpx.Client, number: int) -> httpx.Response:
        return http.patch("/storage/v1/b/state/o/x", json={"metadata": {f"k{number}": "v"}})

    at_once(server, patch)

    found = bucket.get_blob("x")
    assert (len(found.metadata), found.metageneration) == (CLIENTS, CLIENTS + 1)


def test_two_senders_of_one_session_do_not_mix_their_bytes(server: Server, bucket: Any) -> None:
    with httpx.Client(base_url=server.url, verify=False) as http:
        location = http.post(UPLOAD, params={"uploadType": "resumable", "name": "x"}, json={}).headers["location"]
    body = bytes(range(256)) * 8192

    def send(http: httpx.Client, number: int) -> httpx.Response:
        headers = {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}", "X-Sender": f"{number}"}
        return http.put(location, content=body, headers=headers)

    codes = {reply.status_code for reply in at_once(server, send)}

    assert 200 in codes <= {200, 503}
    assert bucket.blob("x").download_as_bytes() == body
