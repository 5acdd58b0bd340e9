"""A function's process is there when its first message comes, and again after it was killed."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from local.processes import Processes, free_port, wait_for_port

ROOT = Path(__file__).parents[3]
FUNCTION = """
import functions_framework

@functions_framework.cloud_event
def {name}(event):
    text = event.get_data()["message"]["attributes"]["do"]
    if text == "fail":
        raise ValueError("as asked")
    print("handled", text, flush=True)
"""
SLOW = """
import pathlib, signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
(pathlib.Path(__file__).parents[2] / "deaf").touch()
threading.Event().wait()
"""
RUNNER = """
import http.server, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(202)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(sys.argv[-1])), Answer).serve_forever()
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    for name in ("greet", "other"):
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        (folder / "main.py").write_text(FUNCTION.format(name=name))
    keeper, port = Processes(tmp_path), free_port()
    command = [sys.executable, "-m", "local.functions", "--port", str(port), "--data", str(tmp_path / "host")]
    child = keeper.start([*command, "--source", str(tmp_path / "functions")], os.environ, tmp_path / "log", ROOT)
    assert wait_for_port(port, child, 30)
    yield f"http://127.0.0.1:{port}"
    keeper.stop(child)


def push(host: str, function: str, do: str) -> int:
    message = {"data": "e30=", "attributes": {"do": do}, "messageId": "1"}
    body = {"message": message, "subscription": "projects/p/subscriptions/s"}
    return httpx.post(f"{host}/{function}/projects/p/topics/t", json=body, timeout=60).status_code


def listed(host: str) -> dict[str, Any]:
    return {each["function"]: each for each in httpx.get(f"{host}/local/functions").json()}


def test_the_first_message_starts_the_process_and_the_next_ones_use_it(host: str, tmp_path: Path) -> None:
    assert {name: each["pid"] for name, each in listed(host).items()} == {"greet": None, "other": None}
    assert [push(host, "greet", word) for word in ("one", "two")] == [200, 200]
    told = listed(host)
    assert (told["greet"]["started"], told["greet"]["handled"], told["other"]["started"]) == (1, 2, 0)
    assert (tmp_path / "host" / "logs" / "greet.log").read_text().count("handled") == 2


def test_after_a_kill_the_next_message_starts_the_process_again(host: str) -> None:
    push(host, "greet", "one")
    first = listed(host)["greet"]["pid"]
    os.kill(first, signal.SIGKILL)
    answers = [push(host, "greet", "two") for _ in range(3)]
    assert 200 in answers
    assert set(answers) <= {200, 503}
    assert listed(host)["greet"]["pid"] != first


def test_an_exception_is_not_acknowledged(host: str) -> None:
    assert push(host, "greet", "fail") == 500


def test_an_unknown_function_is_not_found(host: str) -> None:
    assert push(host, "nobody", "one") == 404


def test_a_host_that_is_stopped_leaves_no_process(host: str) -> None:
    push(host, "greet", "one")
    pid = listed(host)["greet"]["pid"]
    parent = psutil.Process(pid).ppid()
    os.kill(parent, signal.SIGTERM)
    _, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert alive == []


def test_functions_run_in_another_module_than_the_framework_where_a_test_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "functions" / "greet").mkdir(parents=True)
    (tmp_path / "functions" / "greet" / "main.py").touch()
    (tmp_path / "other_runner.py").write_text(RUNNER)
    keeper, port = Processes(tmp_path), free_port()
    command = [sys.executable, "-m", "local.functions", "--port", str(port), "--data", str(tmp_path / "host")]
    command += ["--source", str(tmp_path / "functions"), "--runner", "other_runner"]
    child = keeper.start(command, {**os.environ, "PYTHONPATH": str(tmp_path)}, tmp_path / "log", ROOT)
    assert wait_for_port(port, child, 30)
    assert push(f"http://127.0.0.1:{port}", "greet", "one") == 202
    keeper.stop(child)


def test_a_host_that_is_stopped_in_the_middle_of_a_slow_start_leaves_no_process(tmp_path: Path) -> None:
    """Its keeper kills it after eight seconds, and what it had started would live on."""
    (tmp_path / "functions" / "slow").mkdir(parents=True)
    (tmp_path / "functions" / "slow" / "main.py").write_text(SLOW)
    keeper, port = Processes(tmp_path), free_port()
    command = [sys.executable, "-m", "local.functions", "--port", str(port), "--data", str(tmp_path / "host")]
    child = keeper.start([*command, "--source", str(tmp_path / "functions")], os.environ, tmp_path / "log", ROOT)
    assert wait_for_port(port, child, 30)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(push, f"http://127.0.0.1:{port}", "slow", "one")
        starting = until(psutil.Process(child.pid).children)
        until(lambda: [each for each in starting if (tmp_path / "deaf").exists()])
        keeper.stop(child, 7.0)
        assert psutil.wait_procs(starting, timeout=1)[1] == []


def until(find: Callable[[], list[psutil.Process]], seconds: float = 30.0) -> list[psutil.Process]:
    """What is found, once anything is."""
    end = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_what_a_killed_host_left_is_ended_by_the_next_one(host: str, tmp_path: Path) -> None:
    push(host, "greet", "one")
    left = psutil.Process(listed(host)["greet"]["pid"])
    left.parent().kill()  # type: ignore[union-attr]
    assert left.is_running()
    assert Processes(tmp_path / "host").end_leftovers() == 1
    assert psutil.wait_procs([left], timeout=10)[1] == []
