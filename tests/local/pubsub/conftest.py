"""A local Pub/Sub for each test, whose leases may be as short as a second; and Google's emulator in its place.

Where Google's emulator is installed, the tests run on it too. It does not do all that Pub/Sub does: the tests that fail
on it, each for a reason that is documented, are named in `differences`, and must fail.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.pubsub.server import running
from tests.local.pubsub.clients import LETTERS, TOPIC, Clients, Endpoint
from tests.local.pubsub.differences import DIFFERENCES, OURS, SLOW
from tests.local.pubsub.emulator import Emulator, emulator_jar, running_emulator

OURS_OR_GOOGLES = ("ours", "googles")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of a Pub/Sub is one of ours and one of Google's, but for those of what is ours alone."""
    module = metafunc.module.__name__.rpartition(".")[2]
    if "server" in metafunc.fixturenames:
        alone = module in OURS or metafunc.function.__name__ in OURS
        metafunc.parametrize("server", ["ours"] if alone else OURS_OR_GOOGLES, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec: Any = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("server") == "googles":
            _expect_of_google(item)


def _expect_of_google(item: pytest.Item) -> None:
    names = {item.name.partition("[")[0], item.name.replace("[googles]", "").replace("[googles-", "[")}
    if emulator_jar() is None:
        item.add_marker(pytest.mark.skip(reason="Google's Pub/Sub emulator is not installed, or no Java"))
    elif names & SLOW and os.environ.get("SERIN_EMULATOR") != "long":
        item.add_marker(pytest.mark.skip(reason="slow on Google's emulator: SERIN_EMULATOR=long runs it"))
    elif differing := sorted(names & DIFFERENCES.keys()):
        item.add_marker(pytest.mark.xfail(reason=DIFFERENCES[differing[0]], strict=True))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """HOST:PORT of a Pub/Sub that is empty."""
    if request.param == "ours":
        with running(tmp_path, least_ack_seconds=1) as server:
            yield server.host
        return
    host = request.getfixturevalue("emulator").host
    yield host
    _empty(host)


def _empty(host: str) -> None:
    clients = Clients(host)
    for project in ("projects/p", "projects/q"):
        for subscription in clients.subscriber.list_subscriptions(project=project):
            clients.subscriber.delete_subscription(subscription=subscription.name)
        for topic in clients.publisher.list_topics(project=project):
            clients.publisher.delete_topic(topic=topic.name)
    clients.close()


@pytest.fixture
def clients(server: str) -> Iterator[Clients]:
    clients = Clients(server)
    for topic in (TOPIC, LETTERS):
        clients.publisher.create_topic(name=topic)
    yield clients
    clients.close()


@pytest.fixture
def endpoint() -> Iterator[Callable[..., Endpoint]]:
    """Makes push endpoints, and closes them."""
    made: list[Endpoint] = []

    def make(*arguments: object) -> Endpoint:
        made.append(Endpoint(*arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
