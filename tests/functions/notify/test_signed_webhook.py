"""A webhook is signed as the Standard Webhooks specification has it, goes where it was configured, and nowhere else."""

import base64
import hmac
import inspect
import json
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from notice_channel import through_apprise
from open_internet import only_outside, outside
from signed_webhook import identity_of, signed

from shared.events import Notification
from shared.ids import ModelName
from tests.functions.standing_run import event, keys
from tests.world.cloud import MemoryCloud
from tests.world.running import send

MODEL = ModelName("digits")
KEY = b"twenty-four secret bytes"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """A program of somebody else's: what it got, and how it answers."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def verified(self, place: int) -> bool:
        headers, text = self.got[place]
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + text
        wanted = base64.b64encode(hmac.digest(KEY, content, "sha256")).decode()
        return headers["webhook-signature"] == f"v1,{wanted}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, text))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def world(receiver: Receiver, rest: str = "allow_private = true", host: str = "127.0.0.1") -> MemoryCloud:
    address = f"http://{host}:{receiver.port}/hooks?from=serin"
    channel = f'[[channel]]\nname = "tickets"\naddress = "{address}"\nsecret = "{SECRET}"\n{rest}\n'
    return MemoryCloud({"SERIN_NOTIFY_CHANNELS": channel})


def test_the_receiver_can_tell_who_says_it_and_what(receiver: Receiver) -> None:
    cloud = world(receiver)
    assert send(cloud, "notify", event("notifications")) == 200
    headers, text = receiver.got[0]
    assert receiver.verified(0)
    assert headers["webhook-timestamp"] == str(int(cloud.now().timestamp()))
    said = json.loads(text)
    assert said.keys() == {"id", *Notification.model_fields}
    assert (said["id"], said["run"], said["severity"]) == ("runs/digits/000002/end#0", "digits-000002", "warning")


def test_a_notice_has_the_same_identity_at_every_try(receiver: Receiver) -> None:
    cloud = world(receiver)
    receiver.status = 503
    assert send(cloud, "notify", event("notifications")) == 500
    receiver.status = 204
    assert send(cloud, "notify", event("notifications")) == 200
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert receiver.verified(0)
    assert receiver.verified(1)


def test_an_address_inside_the_network_is_refused_unless_it_is_allowed(receiver: Receiver) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert send(world(receiver, rest="", host=host), "notify", event("notifications")) == 500
    assert receiver.got == []


def to_here(scheme: str, rest: str, receiver: Receiver, host: str = "127.0.0.1") -> MemoryCloud:
    address = scheme.format(host=host, port=receiver.port)
    return MemoryCloud({"SERIN_NOTIFY_CHANNELS": f'[[channel]]\nname = "tickets"\naddress = "{address}"\n{rest}\n'})


# A host in the address or in its query; over HTTP, SMTP and plain sockets.
THROUGH_APPRISE = (
    "json://{host}:{port}/x", "xml://{host}:{port}/x", "form://{host}:{port}/x", "gotify://{host}:{port}/token",
    "ntfy://{host}:{port}/topic", "mmost://{host}:{port}/token", "apprise://{host}:{port}/token",
    "mailto://a:b@{host}:{port}", "mailto://a:b@example.org:{port}?smtp={host}", "irc://{host}:{port}/#x",
)  # fmt: skip


@pytest.mark.parametrize("scheme", THROUGH_APPRISE)
def test_what_apprise_sends_goes_nowhere_inside_either(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for host in ("127.0.0.1", "localhost"):
            cloud = to_here(scheme, "allow_private = false", Receiver(port=server.getsockname()[1]), host)
            assert send(cloud, "notify", event("notifications")) == 500
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_address_without_a_name_goes_nowhere_inside_either(receiver: Receiver) -> None:
    cloud = MemoryCloud({"SERIN_NOTIFY_URLS": f"json://127.0.0.1:{receiver.port}/"})
    assert send(cloud, "notify", event("notifications")) == 500
    assert receiver.got == []


@pytest.mark.parametrize("scheme", [each for each in THROUGH_APPRISE if each.startswith(("json", "xml", "form"))])
def test_what_apprise_sends_goes_inside_where_that_is_allowed(receiver: Receiver, scheme: str) -> None:
    assert send(to_here(scheme, "allow_private = true", receiver), "notify", event("notifications")) == 200
    assert len(receiver.got) == 1


def test_only_whoever_asks_for_it_is_kept_outside(receiver: Receiver) -> None:
    """Google's clients, and other threads, go on to what is inside: the metadata server."""
    here = ("127.0.0.1", receiver.port)
    with only_outside():
        with pytest.raises(PermissionError):
            socket.create_connection(here)
        with socket.socket(type=socket.SOCK_DGRAM) as letter, pytest.raises(PermissionError):
            letter.sendto(b"x", ("localhost", receiver.port))  # as syslog's
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: socket.create_connection(here).close()).result()
    socket.create_connection(here).close()


def test_nothing_that_apprise_can_send_with_what_is_installed_connects_in_a_thread_of_its_own() -> None:
    """Such a thread would not be watched."""
    import apprise.manager_plugins

    plugins = apprise.manager_plugins.NotificationManager()
    modules = {sys.modules[each.__module__] for each in plugins.plugins() if each.enabled}
    assert len(modules) > 100
    assert [each.__name__ for each in modules if "Thread(" in inspect.getsource(each)] == []


INSIDE = (
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fd00:ec2::254", "fe80::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::", "2001:0:7f00:1::", "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:0:10.0.0.1",
    "fec0::1", "feff::1", "fe80::1%eth0", "64:ff9b::10.0.0.1", "example.org",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_leads_inside_is_none_of_the_open_internet(address: str) -> None:
    assert not outside(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_an_address_of_the_open_internet_is_one(address: str) -> None:
    assert outside(address)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "x@127.0.0.1", "localhost."])
def test_however_an_address_inside_is_written_it_is_refused(receiver: Receiver, host: str) -> None:
    assert send(world(receiver, rest="", host=host), "notify", event("notifications")) == 500
    assert receiver.got == []


def test_an_answer_without_an_end_is_not_read() -> None:
    """A receiver that promises a gigabyte and sends none of it has said all that counts: its status."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_promise_a_gigabyte, args=(server,))
        thread.start()
        cloud = world(Receiver(port=server.getsockname()[1]))
        assert send(cloud, "notify", event("notifications")) == 200
        thread.join()


def _promise_a_gigabyte(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while connection.recv(65536):
            pass


def test_a_service_that_redirects_gets_nothing_but_the_first_request(receiver: Receiver) -> None:
    """What apprise posts, too: its address may hold a secret."""
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        assert not through_apprise(f"json://127.0.0.1:{receiver.port}/", Notification(model=MODEL, title="hello"))
        assert (len(receiver.got), elsewhere.got) == (1, [])


def test_no_redirect_is_followed(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        assert send(world(receiver), "notify", event("notifications")) == 500
        assert (len(receiver.got), elsewhere.got) == (1, [])


@pytest.mark.parametrize("address", ["https://", "http://127.0.0.1:99999/", "https://no such host/", "http://[::1"])
def test_an_address_that_is_none_takes_nothing(address: str) -> None:
    channel = f'[[channel]]\nname = "x"\naddress = "{address}"\nsecret = "{SECRET}"\nallow_private = true'
    assert send(MemoryCloud({"SERIN_NOTIFY_CHANNELS": channel}), "notify", event("notifications")) == 500


def test_a_channel_that_takes_nothing_is_said_on_the_others_once_a_day(receiver: Receiver) -> None:
    cloud = world(receiver)
    receiver.status = 500
    first = event("notifications")
    for name in ("a", "b"):
        for _ in range(2):
            assert send(cloud, "notify", type(first)(name, first.source, first.time, first.payload)) == 500
    (said,) = [envelope.payload for envelope in cloud.bus.events()]
    assert isinstance(said, Notification)
    assert said.title == "the channel tickets takes no notices"
    assert len([key for key in keys(cloud, "notices/") if "/refused/" in key]) == 2


def test_the_signature_is_the_specifications() -> None:
    # The example of the specification's own reference libraries.
    text = b'{"test": 2432232314}'
    headers = signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, text)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_identities_are_short_and_plain_whatever_the_event_is_called() -> None:
    assert identity_of("runs/digits/000002/end#0").removeprefix("msg_").isalnum()
    assert len(identity_of("x" * 5000)) == 36
