"""What was read once is known; what was missing is asked for again; the rest is the store's own business."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from shared.errors import Transient
from shared.remembering import MAX_OBJECT_BYTES, MAX_OBJECTS, REST, RememberingStore
from tests.world.cloud import MemoryCloud


def test_what_was_read_is_not_asked_for_again() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    store.create("a", b"1")
    assert [store.read("a") for _ in range(3)] == [b"1"] * 3
    assert cloud.door.effects == ["storage.create", "storage.read"]


def test_what_is_missing_is_asked_for_until_it_is_there() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    assert store.read("a") is None
    cloud.state.create("a", b"1")
    assert store.read("a") == b"1"


def test_a_create_that_lost_is_not_mistaken_for_what_stands() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    cloud.state.create("a", b"theirs")
    assert store.create("a", b"ours") is None
    assert store.read("a") == b"theirs"


def test_a_named_generation_is_always_asked_for() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    first, second = cloud.state.put("a", b"1"), cloud.state.put("a", b"2")
    assert [store.read("a", each.generation) for each in (first, second)] == [b"1", b"2"]
    assert store.read("a") == b"2"


def test_memory_is_bounded() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    cloud.state.put("big", b"x" * (MAX_OBJECT_BYTES + 1))
    for number in range(MAX_OBJECTS + 1):
        cloud.state.put(f"{number}", b"x")
        store.read(f"{number}")
    cloud.door.effects.clear()
    for name, asked in (("big", 1), ("big", 2), ("0", 3), (f"{MAX_OBJECTS}", 3)):
        store.read(name)
        assert len(cloud.door.effects) == asked


def test_many_threads_read_the_same() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    for number in range(50):
        cloud.state.put(f"{number}", str(number).encode())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: store.read(f"{number % 50}"), range(2000)))
    assert found == [str(number % 50).encode() for number in range(2000)]


def test_listings_and_streams_are_the_stores_own() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    entry = cloud.state.put("a/b", b"1")
    assert (store.bucket, store.entries("a/"), store.folders("")) == ("state", [entry], ["a"])
    assert (store.stat("a/b"), list(store.stream("a/b", entry.generation))) == (entry, [b"1"])


class Seconds:
    """A clock on which a listing takes a second."""

    def __init__(self, cloud: MemoryCloud) -> None:
        self.now = 0.0
        self._cloud = cloud

    def __call__(self) -> float:
        listed = self._cloud.door.effects.count("storage.list")
        return self.now + listed


def names(store: RememberingStore) -> list[str]:
    return [entry.key for entry in store.entries_known("a/")]


def test_a_listing_is_good_for_a_multiple_of_what_it_took_and_knows_ones_own_objects_at_once() -> None:
    cloud = MemoryCloud()
    clock = Seconds(cloud)
    store = RememberingStore(cloud.state, clock)
    store.create("a/1", b"")
    assert names(store) == ["a/1"]
    cloud.state.put("a/2", b"theirs")
    store.create("a/3", b"")
    store.create("b/4", b"")
    assert names(store) == ["a/1", "a/3"]
    assert [entry.key for entry in store.entries("a/")] == ["a/1", "a/2", "a/3"]
    clock.now += REST
    assert sorted(names(store)) == ["a/1", "a/2", "a/3"]


def test_operations_do_not_grow_with_what_is_listed() -> None:
    cloud = MemoryCloud()
    clock = Seconds(cloud)
    store = RememberingStore(cloud.state, clock)
    for number in range(1_000):
        store.create(f"a/{number}", b"")
        assert len(names(store)) == number + 1
        clock.now += 0.1
    assert cloud.door.effects.count("storage.list") < 10


def test_a_listing_that_failed_is_not_known_and_one_that_is_too_long_is_not_kept() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state, Seconds(cloud), max_listed=3)
    cloud.door.before["storage.list"] = Transient("storage.list", "status 503")
    with pytest.raises(Transient):
        store.entries_known("a/")
    for number in range(4):
        cloud.state.put(f"a/{number}", b"")
    assert len(names(store)) == 4
    cloud.state.put("a/x", b"")
    assert len(names(store)) == 5


def test_many_threads_each_know_their_own() -> None:
    cloud = MemoryCloud()
    store = RememberingStore(cloud.state)
    numbers = count()

    def one(_: int) -> bool:
        key = f"a/{next(numbers)}"
        store.create(key, b"")
        return key in names(store)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(1_000)))
    assert len(names(store)) == 1_000
