"""What was read once is known; what was missing is asked for again; the rest is the store's own business."""

from concurrent.futures import ThreadPoolExecutor

from shared.remembering import MAX_OBJECT_BYTES, MAX_OBJECTS, RememberingStore
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
