"""Deliveries come twice and out of order where that is asked for, and nobody is lost by it."""

import asyncio
import random
from pathlib import Path

import pytest

from local.pubsub.faults import NO_FAULTS, Faults, faults_of
from local.pubsub.server import running
from tests.local.pubsub.clients import TOPIC, Clients, Endpoint, lasting


def test_without_a_wish_nothing_happens() -> None:
    assert not any(NO_FAULTS.again() for _ in range(100))


def test_as_many_come_again_as_were_asked_for_and_each_is_told(tmp_path: Path) -> None:
    faults = Faults(duplicates=0.25, told=tmp_path / "told", chance=random.Random(1))
    again = sum(faults.again() for _ in range(400))
    assert 60 < again < 140
    assert (tmp_path / "told").read_text().split() == ["duplicate"] * again


def test_some_are_held_back_while_others_go_first(tmp_path: Path) -> None:
    faults = Faults(reorderings=0.5, seconds=0.01, told=tmp_path / "told", chance=random.Random(1))
    order: list[int] = []

    async def send(number: int) -> None:
        await faults.hold_back()
        order.append(number)

    async def send_all() -> None:
        await asyncio.gather(*(send(number) for number in range(20)))

    asyncio.run(send_all())
    assert sorted(order) == list(range(20))
    assert order != sorted(order)


def test_words_are_read_and_others_refused(tmp_path: Path) -> None:
    found = faults_of("duplicates=0.2,reorderings=0.1,seconds=2", tmp_path)
    assert (found.duplicates, found.reorderings, found.seconds) == (0.2, 0.1, 2.0)
    assert faults_of("", tmp_path).duplicates == 0
    for words in ("losses=0.1", "duplicates=0.9", "duplicates=x", "duplicates", "seconds=-1", "reorderings=2"):
        with pytest.raises(ValueError):
            faults_of(words, tmp_path)


def test_what_was_taken_is_pushed_again_and_everything_arrives(tmp_path: Path) -> None:
    faults = Faults(duplicates=0.5, reorderings=0.5, seconds=0.05, chance=random.Random(1))
    with running(tmp_path, faults=faults) as server:
        clients, hearer = Clients(server.host), Endpoint()
        clients.publisher.create_topic(name=TOPIC)
        at_once = {"minimum_backoff": lasting(0), "maximum_backoff": lasting(0)}
        clients.subscribe(push_config=hearer.push_config, retry_policy=at_once)
        sent = set(clients.publish_many(20))
        heard: list[str] = []
        while set(heard) != sent or len(heard) == len(sent):
            heard.append(hearer.next()["message"]["messageId"])
        clients.close()
        hearer.close()
    assert set(heard) == sent
    assert len(heard) > len(sent)
