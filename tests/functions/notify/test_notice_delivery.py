"""Notices reach every channel once, whatever the others do, and no address is ever said."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from notice_channel import Posted, through_apprise
from notice_channel import send as send_to
from notice_text import MAX_BODY_CHARS, body

from shared.channels import Channel
from shared.errors import Transient
from shared.events import Notification
from tests.functions.standing_run import event, keys
from tests.world.cloud import START, MemoryCloud
from tests.world.running import send

# One of apprise's own plugins imports a module that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
SECRET = "s3cret-t0ken"


@dataclass
class Hook:
    """A webhook on this machine: what it was told, and the status that it answers."""

    port: int
    status: int = 200
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"json://serin:{SECRET}@127.0.0.1:{self.port}/hooks/{SECRET}"


@contextmanager
def listening() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook = Hook(server.server_address[1])
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hook
        server.shutdown()
        thread.join()


@pytest.fixture
def hooks() -> Iterator[tuple[Hook, Hook]]:
    with ExitStack() as stack:
        yield stack.enter_context(listening()), stack.enter_context(listening())


def world(*addresses: str) -> MemoryCloud:
    """Channels without names of their own, which may all the same be on this machine."""
    cloud = MemoryCloud({"SERIN_NOTIFY_URLS": " ".join(addresses)})
    channels = tuple(replace(channel, allow_private=True) for channel in cloud.environment.channels)
    cloud.environment = replace(cloud.environment, channels=channels)
    return cloud


def notify(cloud: MemoryCloud) -> int:
    return send(cloud, "notify", event("notifications"))


def delivered(cloud: MemoryCloud) -> list[str]:
    return [key for key in keys(cloud, "notices/") if "/told/" in key]


def test_every_channel_is_told_what_why_and_what_next(hooks: tuple[Hook, Hook]) -> None:
    cloud = world(*(hook.address for hook in hooks))
    assert notify(cloud) == 200
    for hook in hooks:
        (told,) = hook.told
        assert (told["title"], told["type"]) == ("digits-000002: rejected, 35 points, below 50", "warning")
        assert told["message"].splitlines() == [
            "- improvement: 0 of 40; -1.2 points of accuracy against the champion",
            "- quality: 20 of 30; accuracy 84.0% is fair",
            "Next: look at the rows of window 2",
        ]
    assert cloud.bus.messages == []


def test_a_redelivery_tells_nobody_twice(hooks: tuple[Hook, Hook]) -> None:
    cloud = world(*(hook.address for hook in hooks))
    notify(cloud)
    assert notify(cloud) == 200
    assert [len(hook.told) for hook in hooks] == [1, 1]


def test_one_dead_channel_does_not_keep_the_others_from_hearing_and_is_tried_again(hooks: tuple[Hook, Hook]) -> None:
    dead, well = hooks
    cloud = world(dead.address, well.address)
    dead.status = 500
    assert notify(cloud) == 500
    assert [len(hook.told) for hook in hooks] == [1, 1]
    dead.status = 200
    assert notify(cloud) == 200
    assert [len(hook.told) for hook in hooks] == [2, 1]


def test_an_address_that_is_none_fails_alone(hooks: tuple[Hook, Hook]) -> None:
    cloud = world("no-such-service://x", hooks[0].address)
    assert notify(cloud) == 500
    assert len(hooks[0].told) == 1


def test_a_channel_named_twice_is_told_once(hooks: tuple[Hook, Hook]) -> None:
    assert notify(world(hooks[0].address, hooks[0].address)) == 200
    assert len(hooks[0].told) == 1


def test_after_a_lost_reply_of_the_ledger_nobody_is_told_twice(hooks: tuple[Hook, Hook]) -> None:
    cloud = world(hooks[0].address)
    cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
    assert notify(cloud) == 500
    assert notify(cloud) == 200
    assert len(hooks[0].told) == 1


def test_another_notice_is_told_as_well(hooks: tuple[Hook, Hook]) -> None:
    cloud = world(hooks[0].address)
    notify(cloud)
    kept = event("notifications")
    again = type(kept)(f"{kept.id}-again", kept.source, kept.time, kept.payload)
    assert send(cloud, "notify", again) == 200
    assert (len(hooks[0].told), len(delivered(cloud))) == (2, 2)


def test_without_channels_a_notice_is_one_line_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    assert notify(world()) == 200
    said, handled = [json.loads(each) for each in capfd.readouterr().out.splitlines()]
    assert (handled["message"], handled["outcome"]) == ("handled", "done")
    assert (said["severity"], said["message"]) == ("WARNING", "digits-000002: rejected, 35 points, below 50")
    assert said["notice"]["next"] == "look at the rows of window 2"
    assert (said["function"], said["run"], said["model"]) == ("notify", "digits-000002", "digits")


@pytest.mark.parametrize("status", [200, 500])
def test_no_address_is_said_anywhere(
    hooks: tuple[Hook, Hook], status: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    hooks[0].status = status
    cloud = world(hooks[0].address, f"nonsense://{SECRET}", f"json://127.0.0.1:1/{SECRET}", f"slack://{SECRET}")
    assert notify(cloud) == 500
    written = capfd.readouterr()
    kept = b"".join(cloud.state.read(key) or b"" for key in keys(cloud)).decode()
    said = [written.out, written.err, caplog.text, kept, *keys(cloud)]
    assert "not told: " in written.out
    assert not [each for each in said if SECRET in each]


def test_a_delivery_is_recorded_under_the_event_and_the_channel(hooks: tuple[Hook, Hook]) -> None:
    cloud = world(hooks[0].address)
    notify(cloud)
    (key,) = delivered(cloud)
    kept = json.loads(cloud.state.read(key) or b"")["data"]
    assert key.endswith(f"/{Channel(hooks[0].address).name}")
    assert (kept["channel"], kept["event"]) == (Channel(hooks[0].address).name, "runs/digits/000002/end#0")


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        ("slack://a/b/c", "slack"),
        ("mailtos://u:p@example.org", "mailtos"),
        ("SECRET", "unknown"),
        ("a b://x", "unknown"),
    ],
)
def test_a_channel_is_named_by_its_scheme_and_a_hash(address: str, scheme: str) -> None:
    said, _, hashed = Channel(address).name.rpartition("-")
    assert (said, len(hashed)) == (scheme, 20)


def test_a_long_notice_is_cut_where_channels_end() -> None:
    text = body(Notification(model="digits", title="t", why=("x" * 5000, "y" * 5000)))
    assert (len(text), text[-1]) == (MAX_BODY_CHARS, "…")


def test_a_notice_without_reasons_still_has_a_body() -> None:
    assert body(Notification(model="digits", title="3 of 100 rows wait")) == "3 of 100 rows wait"


def test_a_service_that_cannot_be_reached_is_untold_and_nothing_is_raised() -> None:
    assert through_apprise("json://127.0.0.1:1/", Notification(model="digits", title="t")) is False


def test_a_file_is_a_channel_like_any_other(tmp_path: Path) -> None:
    told = tmp_path / "what people are told.txt"
    cloud = MemoryCloud({"SERIN_NOTIFY_URLS": told.as_uri()})
    for _ in range(2):
        assert send(cloud, "notify", event("notifications")) == 200
    notice = event("notifications").payload
    assert isinstance(notice, Notification)
    assert told.read_text().count(notice.title) == 1
    assert cloud.door.effects.count("notify.send") == 1


def test_a_file_that_cannot_be_written_takes_nothing(tmp_path: Path) -> None:
    channel = Channel((tmp_path / "no such folder" / "notices.txt").as_uri())
    posted = Posted(Notification(model="digits", title="t"), "e", START)
    assert send_to(channel, posted) is False


@pytest.mark.parametrize("then", [("then.txt",), ()])
def test_a_channel_that_came_since_does_not_hear_a_notice_that_all_have_heard(
    tmp_path: Path, then: tuple[str, ...]
) -> None:
    before = world(*((tmp_path / name).as_uri() for name in then))
    assert notify(before) == 200
    now = world((tmp_path / "now.txt").as_uri())
    now.state = before.state
    assert notify(now) == 200
    assert not (tmp_path / "now.txt").exists()


def test_a_channel_that_replaces_one_that_was_down_hears_what_that_one_missed(tmp_path: Path) -> None:
    before = world((tmp_path / "no such folder" / "then.txt").as_uri())
    assert notify(before) == 500
    now = world((tmp_path / "now.txt").as_uri())
    now.state = before.state
    assert notify(now) == 200
    assert (tmp_path / "now.txt").exists()
