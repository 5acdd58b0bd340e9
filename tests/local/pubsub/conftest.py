"""A local Pub/Sub for each test, whose leases may be as short as a second."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.pubsub.server import Server, running
from tests.local.pubsub.clients import LETTERS, TOPIC, Clients, Endpoint


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, least_ack_seconds=1) as server:
        yield server


@pytest.fixture
def clients(server: Server) -> Iterator[Clients]:
    clients = Clients(server.host)
    clients.publisher.create_topic(name=TOPIC)
    clients.publisher.create_topic(name=LETTERS)
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
