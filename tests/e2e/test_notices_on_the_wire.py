"""A notice on its way through the whole local cloud: to channels, to the delivery log, and to who subscribes."""

import base64
import hmac
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.processes import Processes, free_port, wait_for_port, without_credentials
from local.supervisor import PROJECT, Installation, installed, running
from shared.envelope import Envelope
from shared.environment import open_cloud
from shared.events import Notification
from shared.ids import ModelName
from shared.ledger import POSTED, bugs_prefix, dead_letter_key, notice_key
from shared.step import publish
from tests.e2e.searching import files, forms, found

ROOT = Path(__file__).parents[2]
KEY = b"a key of the receiver's and ours"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
PLANTED = "planted-token-8c1f5f2e"
TITLE = "a test, sent by "
pytestmark = pytest.mark.filterwarnings("default")  # Google's clients warn when their threads end with the process


class Hook(ThreadingHTTPServer):
    """A receiver of signed webhooks that keeps what it got."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}/serin"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + text
        signature = base64.b64encode(hmac.digest(KEY, content, "sha256")).decode()
        if self.headers["webhook-signature"] == f"v1,{signature}":
            self.server.got.append(json.loads(text))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def installation(hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    channels = f"""
    [[channel]]
    name = "tickets"
    address = "{hook.address}"
    secret = "{SECRET}"
    allow_private = true
    models = ["digits"]

    [[channel]]
    name = "pager"
    address = "json://{PLANTED}:{PLANTED}@127.0.0.1:{free_port()}/{PLANTED}?token={PLANTED}"
    severity = "error"
    """
    before = dict(os.environ)
    os.environ["SERIN_NOTIFY_CHANNELS"] = channels
    os.environ.pop("SERIN_NOTIFY_URLS", None)  # of another installation, in whose environment we may be
    made = installed(tmp_path_factory.mktemp("notices") / "home", 1.0, 0)
    try:
        with running(made):
            os.environ.update(made.environment)
            yield made
    finally:
        os.environ.clear()
        os.environ.update(before)


def serin(installation: Installation, *words: str) -> tuple[int, Any]:
    command = [sys.executable, "-m", "cli.main", *words, "--json", "--home", str(installation.home)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    return ended.returncode, json.loads(ended.stdout)


def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)
    return found


def subscribed(name: str, push: str = "") -> str:
    from google.cloud import pubsub_v1

    with pubsub_v1.SubscriberClient() as client:
        path = client.subscription_path(PROJECT, name)
        request: dict[str, Any] = {"name": path, "topic": client.topic_path(PROJECT, "notifications")}
        client.create_subscription(request={**request, "push_config": {"push_endpoint": push}})
    return name


def test_a_test_notice_goes_where_it_is_routed_and_the_log_says_so(installation: Installation, hook: Hook) -> None:
    status, (said,) = serin(installation, "notify", "--test", "--model", "digits", "--seconds", "120")
    assert status == 0, said
    told = dict(channel.split(": ") for channel in said["channels"])
    assert told.pop("tickets") == "told"
    (place,) = told  # the local cloud's own file; the pager hears errors only
    assert place.startswith("file-")
    assert TITLE in installation.notices.read_text()
    assert {each["model"] for each in hook.got} == {"digits"}
    assert said in serin(installation, "notices", "--model", "digits")[1]


def test_a_channel_that_is_down_is_said_and_the_others_hear_all_the_same(installation: Installation) -> None:
    status, (said,) = serin(installation, "notify", "--test", "--severity", "error", "--seconds", "60")
    told = dict(channel.split(": ") for channel in said["channels"])
    assert (status, told.pop("pager")) == (1, "refused")
    assert set(told.values()) == {"told"}
    eventually(lambda: "the channel pager takes no notices" in installation.notices.read_text())


def test_a_planted_secret_is_found_nowhere_after_it_was_used(installation: Installation) -> None:
    """Both channels are tried; then everything that was kept, logged, published or printed is searched."""
    _, told = serin(installation, "notify", "--test", "--model", "digits", "--severity", "error", "--seconds", "60")
    assert {"pager: refused", "tickets: told"} <= set(told[0]["channels"])
    secrets = [*forms(KEY), *forms(PLANTED.encode()), SECRET.encode()]
    places = [("printed", json.dumps(told).encode()), *files(installation.home, but=())]
    assert any("/logs/" in place for place, _ in places)
    assert found(secrets, places) == []


def test_a_push_that_anybody_can_send_is_not_taken(installation: Installation) -> None:
    notice = Envelope("forged", "//test", datetime.now(UTC), Notification(model=ModelName("digits"), title="forged"))
    message = {"data": base64.b64encode(notice.data()).decode(), "attributes": notice.attributes(), "messageId": "1"}
    url = f"{installation.environment['SERIN_FUNCTIONS_HOST']}/notify/projects/{PROJECT}/topics/notifications"
    for headers in ({}, {"Authorization": "Bearer e30.e30.e30"}):
        assert httpx.post(url, json={"message": message, "subscription": "s"}, headers=headers).status_code == 403
    assert "forged" not in installation.notices.read_text()


def test_a_poison_message_is_given_up_while_the_others_of_its_subscription_flow_on(installation: Installation) -> None:
    """Its record is spoilt, so that the function breaks at it each time; it is tried until the others are through."""
    cloud = open_cloud()
    with given_up_after(100):
        assert cloud.state.create(notice_key("poison", POSTED), b"{}") is not None
        publish(cloud, notice("poison"))
        (bug,) = eventually(lambda: cloud.state.entries(bugs_prefix("notify", "poison")))
        for number in range(5):
            publish(cloud, notice(f"beside {number}"))
        eventually(lambda: all(f"beside {number}" in installation.notices.read_text() for number in range(5)))
        assert cloud.state.entries(dead_letter_key("", "")) == []
    with given_up_after(5):
        eventually(lambda: "event poison" in installation.notices.read_text())
    traceback = bug.key.rsplit("/", 1)[-1]
    assert f"traceback {traceback}" in installation.notices.read_text()
    _, letters = serin(installation, "dead-letters", "list")
    (letter,) = [each for each in letters if each["event"] == "poison"]
    assert (letter["function"], letter["traceback"], letter["state"]) == ("notify", bug.key, "waiting")


def notice(title: str) -> Envelope:
    return Envelope(title, "//test", datetime.now(UTC), Notification(model=ModelName("digits"), title=title))


@contextmanager
def given_up_after(attempts: int) -> Iterator[None]:
    """For as long as the block runs, a notice that fails comes again at once, so often."""
    from google.cloud import pubsub_v1
    from google.protobuf.duration_pb2 import Duration

    with pubsub_v1.SubscriberClient() as client:
        name = client.subscription_path(PROJECT, "notify.notifications")
        usual = client.get_subscription(request={"subscription": name})
        quick = type(usual)(usual)
        quick.dead_letter_policy.max_delivery_attempts = attempts
        quick.retry_policy = {"minimum_backoff": Duration(nanos=10**8), "maximum_backoff": Duration(nanos=2 * 10**8)}
        mask = {"paths": ["dead_letter_policy", "retry_policy"]}
        client.update_subscription(request={"subscription": quick, "update_mask": mask})
        try:
            yield
        finally:
            client.update_subscription(request={"subscription": usual, "update_mask": mask})


def test_ten_lines_of_python_hear_it(installation: Installation, tmp_path: Path) -> None:
    name, log, keeper = subscribed("ten-lines"), tmp_path / "said", Processes(tmp_path / "processes")
    command = [sys.executable, str(ROOT / "examples" / "subscriber.py"), PROJECT, name]
    child = keeper.start(command, without_credentials(os.environ), log)
    try:
        serin(installation, "notify", "--test", "--model", "digits")
        assert TITLE in eventually(lambda: log.read_text())
    finally:
        keeper.stop(child)


def test_somebody_elses_function_hears_it(installation: Installation, tmp_path: Path) -> None:
    port, keeper = free_port(), Processes(tmp_path / "processes")
    source = str(ROOT / "examples" / "tickets" / "main.py")
    command = [sys.executable, "-m", "functions_framework", "--source", source, "--target", "open_ticket"]
    variables = {**without_credentials(os.environ), "TICKETS": str(tmp_path)}
    child = keeper.start([*command, "--host", "127.0.0.1", "--port", str(port)], variables, tmp_path / "log")
    try:
        assert wait_for_port(port, child, 60)
        subscribed("tickets", f"http://127.0.0.1:{port}/")
        serin(installation, "notify", "--test", "--model", "digits", "--seconds", "1")
        serin(installation, "notify", "--test", "--model", "digits", "--severity", "error", "--seconds", "1")
        (ticket,) = eventually(lambda: list(tmp_path.glob("*.json")))
        assert TITLE in json.loads(ticket.read_text())["title"]
    finally:
        keeper.stop(child)


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_hears_it(installation: Installation, tmp_path: Path) -> None:
    variables = {
        **without_credentials(os.environ),
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"http://{installation.environment['PUBSUB_EMULATOR_HOST']}/",
    }

    def taken() -> list[Any]:
        command = [str(ROOT / "examples" / "subscribe.sh"), PROJECT, "from-gcloud"]
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        found: list[Any] = json.loads(ended.stdout[ended.stdout.index("[") :])
        return found

    taken()
    serin(installation, "notify", "--test", "--model", "digits", "--seconds", "1")
    (message,) = eventually(taken)
    assert TITLE in json.loads(base64.b64decode(message["message"]["data"]))["title"]
