"""The bytes of one generation: all of them and the right ones, or an error that says why not."""

from collections.abc import Iterator

import pytest

from shared.errors import Refused, Transient
from shared.store import Entry
from shared.tables.source import UploadSource
from tests.world.cloud import MemoryCloud
from tests.world.storage import MemoryStore

BODY = bytes(range(256)) * 20_000  # eighty times what is read at once
KEY = "data/m/a.csv"


class Breaking(MemoryStore):
    """A bucket whose downloads break off after so many bytes, so often."""

    breaks = 0
    after = 1 << 20
    starts: list[int]

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        self.starts.append(start)
        given = 0
        for chunk in super().stream(key, generation, start):
            if self.breaks and given >= self.after:
                self.breaks -= 1
                raise Transient("storage.read", "ConnectionError")
            given += len(chunk)
            yield chunk


def breaking(breaks: int) -> tuple[UploadSource, Breaking]:
    cloud = MemoryCloud()
    store = Breaking("data", cloud.now, cloud.door)
    store.breaks, store.starts = breaks, []
    return UploadSource(store, store.put(KEY, BODY)), store


def source(body: bytes = BODY, **changes: object) -> UploadSource:
    cloud = MemoryCloud()
    entry = cloud.data.put(KEY, body)
    return UploadSource(cloud.data, Entry(**{**entry.__dict__, **changes}))


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, len(BODY)])
def test_all_bytes_come_in_order(size: int) -> None:
    assert b"".join(source(BODY[:size]).chunks()) == BODY[:size]


def test_a_download_that_breaks_off_is_taken_up_where_it_did() -> None:
    made, store = breaking(3)
    assert b"".join(made.chunks()) == BODY
    assert store.starts == [(1 << 16) + (each << 20) for each in range(4)]


def test_a_download_that_breaks_off_again_and_again_is_left_for_later() -> None:
    made, store = breaking(100)
    store.after = 0
    with pytest.raises(Transient, match="ConnectionError"):
        list(made.chunks())


def test_bytes_that_are_not_the_buckets_are_not_accepted() -> None:
    with pytest.raises(Transient, match="the checksum differs"):
        list(source(crc32c="AAAAAA==").chunks())


def test_an_object_that_is_shorter_than_it_was_is_not_accepted() -> None:
    with pytest.raises(Transient, match="bytes instead of"):
        list(source(b"abc", bytes=4).chunks())


def test_a_generation_that_is_gone_is_refused() -> None:
    with pytest.raises(Refused):
        list(source(generation=77).chunks())


def test_who_stops_reading_leaves_no_thread_behind() -> None:
    import threading

    before = threading.active_count()
    chunks = source().chunks()
    next(iter(chunks))
    chunks.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_object_without_md5_is_read_for_it() -> None:
    assert source(md5="").md5() == source().md5()


def test_a_file_of_it_is_read_where_somebody_looks() -> None:
    file = source().file()
    file.seek(-5, 2)
    assert (file.read(), file.tell()) == (BODY[-5:], len(BODY))
    file.seek(1000)
    assert file.read(300) == BODY[1000:1300]
