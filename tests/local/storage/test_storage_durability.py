"""The process is killed without warning: what it answered is there, what it did not answer is whole or absent."""

import base64
import hashlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.storage import running
from local.storage.service import FolderInUse

REPOSITORY = Path(__file__).parents[3]
DEADLINE_SECONDS = 20
UPLOAD = "/upload/storage/v1/b/data/o"


class Process:
    """`python -m local.storage` as the supervisor runs it."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        command = [sys.executable, "-m", "local.storage", "--data", str(folder), "--port", str(port)]
        self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdout is not None
        self.announcement = json.loads(self._process.stdout.readline())
        self.port: int = self.announcement["port"]
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self, how: signal.Signals) -> tuple[int, bytes, bytes]:
        """Exit code and what it still wrote to stdout and stderr."""
        self._process.send_signal(how)
        out, err = self._process.communicate(timeout=DEADLINE_SECONDS)
        return self._process.returncode, out, err


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[int], Process]]:
    started: list[Process] = []

    def start(port: int = 0) -> Process:
        started.append(Process(folder, port))
        return started[-1]

    yield start
    for process in started:
        process.end(signal.SIGKILL)


def body_of(name: str) -> bytes:
    """Bytes that only this name has; every third name has too many for the database."""
    number = int(name.split("-")[1])
    return hashlib.sha256(name.encode()).digest() * (4000 if number % 3 == 0 else 20)


def create(http: httpx.Client, name: str) -> httpx.Response:
    params: dict[str, Any] = {"uploadType": "media", "name": name, "ifGenerationMatch": 0}
    return http.post(UPLOAD, params=params, content=body_of(name))


def make_bucket(anywhere: httpx.Client, url: str) -> None:
    assert anywhere.post(f"{url}/storage/v1/b", params={"project": "p"}, json={"name": "data"}).status_code == 200


class Writers:
    """Several clients that create objects until their server dies."""

    def __init__(self, url: str, count: int) -> None:
        self.acknowledged: dict[str, str] = {}
        self.enough = threading.Event()
        self._url = url
        self._count = count

    def run(self) -> None:
        with ThreadPoolExecutor(self._count) as pool:
            list(pool.map(self._write, range(self._count)))

    def _write(self, writer: int) -> None:
        with httpx.Client(base_url=self._url, verify=False) as http:
            for number in range(10_000):
                name = f"w{writer}-{number}"
                try:
                    self.acknowledged[name] = create(http, name).json()["generation"]
                except httpx.TransportError:
                    return
                if len(self.acknowledged) >= 60:
                    self.enough.set()


def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(
    start: Callable[..., Process], anywhere: httpx.Client, folder: Path
) -> None:
    process = start()
    make_bucket(anywhere, process.url)
    writers = Writers(process.url, 4)
    thread = threading.Thread(target=writers.run)
    thread.start()
    assert writers.enough.wait(DEADLINE_SECONDS)
    process.end(signal.SIGKILL)
    thread.join()

    again = start(process.port)

    with httpx.Client(base_url=again.url, verify=False) as http:
        listed: list[dict[str, Any]] = http.get("/storage/v1/b/data/o").json()["items"]
        for item in listed:
            body = http.get(item["mediaLink"]).content
            assert body == body_of(item["name"])
            assert base64.b64encode(hashlib.md5(body).digest()).decode() == item["md5Hash"]
    assert again.port == process.port
    assert writers.acknowledged.items() <= {item["name"]: item["generation"] for item in listed}.items()
    assert len(listed) - len(writers.acknowledged) <= 4
    large = [item for item in listed if int(item["size"]) > 64 * 1024]
    assert len(list((folder / "files").iterdir())) == len(large) > 0
    assert list((folder / "drafts").iterdir()) == []


def test_generations_go_on_after_kill_9(start: Callable[..., Process], anywhere: httpx.Client) -> None:
    process = start()
    make_bucket(anywhere, process.url)
    with httpx.Client(base_url=process.url, verify=False) as http:
        first = int(create(http, "a-1").json()["generation"])
    process.end(signal.SIGKILL)

    again = start()

    with httpx.Client(base_url=again.url, verify=False) as http:
        assert create(http, "a-1").status_code == 412
        assert int(create(http, "a-2").json()["generation"]) > first


def test_a_resumable_session_goes_on_after_kill_9(start: Callable[..., Process], anywhere: httpx.Client) -> None:
    body, half = bytes(range(256)) * 2048, 256 * 1024
    process = start()
    make_bucket(anywhere, process.url)
    begun = anywhere.post(f"{process.url}{UPLOAD}?uploadType=resumable&name=x", json={"contentType": "text/csv"})
    location = begun.headers["location"]
    half_range = {"Content-Range": f"bytes 0-{half - 1}/*"}
    assert anywhere.put(location, content=body[:half], headers=half_range).status_code == 308
    process.end(signal.SIGKILL)

    process = start(process.port)
    status = anywhere.put(location, headers={"Content-Range": "bytes */*"})
    assert (status.status_code, status.headers["range"]) == (308, f"bytes=0-{half - 1}")
    rest_range = {"Content-Range": f"bytes {half}-{len(body) - 1}/{len(body)}"}
    finished = anywhere.put(location, content=body[half:], headers=rest_range)
    assert (finished.status_code, finished.json()["contentType"]) == (200, "text/csv")
    assert finished.json()["md5Hash"] == base64.b64encode(hashlib.md5(body).digest()).decode()
    process.end(signal.SIGKILL)

    start(process.port)
    assert anywhere.put(location, content=body[half:], headers=rest_range).json() == finished.json()
    assert anywhere.get(finished.json()["mediaLink"]).content == body


def test_an_upload_whose_connection_breaks_leaves_nothing(
    folder: Path, connect: Callable[[str], Any], anywhere: httpx.Client
) -> None:
    def cut() -> Iterator[bytes]:
        yield bytes(200_000)
        raise ConnectionAbortedError

    with running(folder) as server:
        bucket = connect(server.url).create_bucket("data")
        with pytest.raises(ConnectionAbortedError):
            anywhere.post(f"{server.url}{UPLOAD}?uploadType=media&name=x", content=cut())
        bucket.blob("x").upload_from_string(b"1", if_generation_match=0)
    with running(folder):
        assert list((folder / "drafts").iterdir()) == []
        assert list((folder / "files").iterdir()) == []


def test_what_a_crash_left_behind_is_swept_and_nothing_else(folder: Path, connect: Callable[[str], Any]) -> None:
    large = bytes(100_000)
    with running(folder) as server:
        connect(server.url).create_bucket("data").blob("x").upload_from_string(large)
    for kind in ("files", "drafts", "sessions"):
        (folder / kind / "left-behind").write_bytes(b"half")

    with running(folder) as server:
        assert connect(server.url).bucket("data").blob("x").download_as_bytes() == large

    assert len(list((folder / "files").iterdir())) == 1
    assert [*(folder / "drafts").iterdir(), *(folder / "sessions").iterdir()] == []


def test_deleted_and_overwritten_objects_leave_no_files(folder: Path, connect: Callable[[str], Any]) -> None:
    with running(folder) as server:
        bucket = connect(server.url).create_bucket("data")
        for name in ("x", "x", "y"):
            bucket.blob(name).upload_from_string(bytes(100_000))
        bucket.blob("y").delete()

        assert len(list((folder / "files").iterdir())) == 1


def test_it_announces_itself_in_one_line_and_ends_cleanly_on_sigterm(
    start: Callable[..., Process], anywhere: httpx.Client
) -> None:
    process = start()
    make_bucket(anywhere, process.url)

    assert process.announcement == {"service": "storage", "port": process.port}
    assert process.end(signal.SIGTERM) == (0, b"", b"")


def test_a_folder_is_served_by_one_process_only(folder: Path) -> None:
    with running(folder), pytest.raises(FolderInUse), running(folder):
        pass
