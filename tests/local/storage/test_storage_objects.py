"""Objects through Google's client: what is written is read back, under conditions, by generation, in ranges."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed
from google.api_core.exceptions import ClientError as RefusedByServer

from local.storage import running

LARGE = bytes(range(256)) * 4096  # 1 MiB: a file of its own, where small objects live in the database


@pytest.fixture
def versioned(bucket: Any) -> Any:
    bucket.versioning_enabled = True
    bucket.patch()
    return bucket


@pytest.mark.parametrize("body", [b"", b"{}", LARGE], ids=["empty", "small", "large"])
def test_what_is_uploaded_is_downloaded(bucket: Any, body: bytes) -> None:
    bucket.blob("runs/digits/1 ü%2F/x.json").upload_from_string(body, content_type="application/json")

    blob = bucket.blob("runs/digits/1 ü%2F/x.json")

    assert (blob.download_as_bytes(), blob.content_type) == (body, "application/json")


def test_the_reply_to_an_upload_is_the_whole_resource(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"rows": "20"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"hello", content_type="text/plain")

    assert (blob.size, blob.crc32c, blob.md5_hash) == (5, "mnG7TA==", "XUFAKrxLKna5cZ2REBfFkg==")
    assert (blob.metageneration, blob.metadata, blob.cache_control) == (1, {"rows": "20"}, "no-store")
    assert blob.time_created == blob.updated
    assert blob.generation > 10**15


def test_a_download_carries_generation_and_metageneration_but_no_custom_metadata(bucket: Any) -> None:
    written = bucket.blob("x")
    written.metadata = {"rows": "20"}
    written.upload_from_string(b"hello")

    read = bucket.blob("x")
    read.download_as_bytes()

    assert (read.generation, read.metageneration, read.etag) == (written.generation, 1, written.etag)
    assert (read.metadata, read.time_created) == (None, None)


def test_generations_increase_also_when_the_clock_goes_back(folder: Path, connect: Callable[[str], Any]) -> None:
    times = iter(range(2_000_000_000_000_000, 0, -1_000_000))
    with running(folder, clock=lambda: next(times)) as server:
        bucket = connect(server.url).create_bucket("data")
        blobs = [bucket.blob(f"{number}") for number in range(5)]
        for blob in blobs:
            blob.upload_from_string(b"x")

    generations = [blob.generation for blob in blobs]
    assert generations == sorted(set(generations))


def test_a_second_create_is_refused_and_the_first_stays(bucket: Any) -> None:
    bucket.blob("claim").upload_from_string(b"first", if_generation_match=0)

    with pytest.raises(PreconditionFailed) as refused:
        bucket.blob("claim").upload_from_string(b"second", if_generation_match=0)

    assert "conditionNotMet" in refused.value.message
    assert bucket.blob("claim").download_as_bytes() == b"first"


def test_an_overwrite_needs_the_generation_that_is_there(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")
    first = blob.generation
    blob.upload_from_string(b"2", if_generation_match=first)

    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"3", if_generation_match=first)

    assert blob.download_as_bytes() == b"2"


def test_a_write_may_forbid_a_generation_or_a_metageneration(bucket: Any, http: httpx.Client) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")

    with pytest.raises(PreconditionFailed):
        blob.upload_from_string(b"2", if_generation_not_match=blob.generation)
    with pytest.raises(PreconditionFailed):
        bucket.blob("y").upload_from_string(b"2", if_generation_not_match=0)
    # Google's client spells this one otherwise than Google's reference does.
    path = "/upload/storage/v1/b/state/o?uploadType=media&name=x&ifMetagenerationNotMatch=1"
    assert http.post(path, content=b"2").status_code == 412

    assert bucket.blob("x").download_as_bytes() == b"1"


def test_a_deleted_object_can_be_created_again(versioned: Any) -> None:
    versioned.blob("x").upload_from_string(b"1", if_generation_match=0)
    versioned.blob("x").delete()

    versioned.blob("x").upload_from_string(b"2", if_generation_match=0)

    assert versioned.blob("x").download_as_bytes() == b"2"


def test_a_missing_object_and_a_missing_bucket_are_not_found(client: Any, bucket: Any) -> None:
    with pytest.raises(NotFound, match="No such object: state/nothing"):
        bucket.blob("nothing").download_as_bytes()
    with pytest.raises(NotFound, match="The specified bucket does not exist"):
        client.bucket("nowhere").blob("x").upload_from_string(b"x")
    assert bucket.get_blob("nothing") is None
    assert not bucket.blob("nothing").exists()


@pytest.mark.parametrize("body", [b"0123456789" * 10, LARGE], ids=["small", "large"])
def test_ranges_are_those_bytes(bucket: Any, http: httpx.Client, body: bytes) -> None:
    bucket.blob("x").upload_from_string(body)
    path = "/download/storage/v1/b/state/o/x?alt=media"

    def ranged(text: str) -> tuple[int, bytes, str | None]:
        reply = http.get(path, headers={"Range": text})
        return reply.status_code, reply.content, reply.headers.get("content-range")

    size = len(body)
    assert ranged("bytes=3-12") == (206, body[3:13], f"bytes 3-12/{size}")
    assert ranged("bytes=90-") == (206, body[90:], f"bytes 90-{size - 1}/{size}")
    assert ranged("bytes=-7") == (206, body[-7:], f"bytes {size - 7}-{size - 1}/{size}")
    assert ranged(f"bytes=0-{size * 2}") == (206, body, f"bytes 0-{size - 1}/{size}")
    assert ranged("bytes=9-3") == (200, body, None)
    assert ranged("lines=1-2") == (200, body, None)
    assert ranged(f"bytes={size}-")[0] == 416


def test_the_clients_own_ranged_download_is_accepted(bucket: Any) -> None:
    bucket.blob("x").upload_from_string(LARGE)

    assert bucket.blob("x").download_as_bytes(start=1000, end=1999) == LARGE[1000:2000]


def test_reads_are_conditional_on_generation_metageneration_and_etag(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")
    generation, etag = blob.generation, blob.etag

    assert bucket.blob("x").download_as_bytes(if_generation_match=generation, if_etag_match=etag) == b"1"
    for condition in ({"if_generation_match": generation + 1}, {"if_metageneration_match": 2}, {"if_etag_match": "x"}):
        with pytest.raises(PreconditionFailed):
            bucket.blob("x").download_as_bytes(**condition)


def test_a_reader_who_knows_the_generation_is_told_it_is_not_modified(bucket: Any, http: httpx.Client) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")
    path = "/download/storage/v1/b/state/o/x?alt=media"

    by_generation = http.get(path, params={"ifGenerationNotMatch": blob.generation})
    by_etag = http.get(path, headers={"If-None-Match": f'"{blob.etag}"'})

    assert [(reply.status_code, reply.content) for reply in (by_generation, by_etag)] == [(304, b"")] * 2


def test_a_metadata_patch_counts_the_metageneration_and_keeps_the_rest(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"a": "1", "b": "2"}
    blob.upload_from_string(b"x", content_type="text/plain")
    generation = blob.generation
    blob.metadata = {"a": "9", "b": None}
    blob.patch()

    found = bucket.get_blob("x")

    assert (found.metadata, found.content_type) == ({"a": "9"}, "text/plain")
    assert (found.generation, found.metageneration) == (generation, 2)
    assert found.updated >= found.time_created


def test_an_update_replaces_all_metadata(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"a": "1"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"x")
    replacement = bucket.blob("x")
    replacement.content_type = "text/html"
    replacement.update()

    found = bucket.get_blob("x")

    assert (found.metadata, found.cache_control, found.content_type) == (None, None, "text/html")


def test_a_patch_under_a_stale_metageneration_is_refused(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    blob.metadata = {"a": "1"}
    blob.patch(if_metageneration_match=1)

    with pytest.raises(PreconditionFailed):
        blob.patch(if_metageneration_match=1)


def test_without_versioning_an_overwritten_generation_is_gone(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")
    first = blob.generation
    bucket.blob("x").upload_from_string(b"2")

    with pytest.raises(NotFound):
        bucket.blob("x", generation=first).download_as_bytes()


@pytest.mark.parametrize("body", [b"1", LARGE], ids=["small", "large"])
def test_with_versioning_every_generation_stays_readable(versioned: Any, body: bytes) -> None:
    blob = versioned.blob("x")
    blob.upload_from_string(body)
    first = blob.generation
    blob.upload_from_string(b"2")
    versioned.blob("x").delete()

    assert versioned.blob("x", generation=first).download_as_bytes() == body
    assert versioned.get_blob("x", generation=first).time_deleted is not None
    assert versioned.get_blob("x") is None


def test_a_delete_by_generation_is_for_good(versioned: Any) -> None:
    blob = versioned.blob("x")
    blob.upload_from_string(b"1")
    first = blob.generation
    blob.upload_from_string(b"2")
    versioned.blob("x", generation=first).delete()

    with pytest.raises(NotFound):
        versioned.blob("x", generation=first).download_as_bytes()
    assert versioned.blob("x").download_as_bytes() == b"2"


def test_a_delete_under_a_stale_generation_deletes_nothing(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")

    with pytest.raises(PreconditionFailed):
        blob.delete(if_generation_match=blob.generation + 1)
    assert blob.exists()

    blob.delete(if_generation_match=blob.generation)
    with pytest.raises(NotFound):
        bucket.blob("x").delete()


@pytest.mark.parametrize("body", [b"1", LARGE], ids=["small", "large"])
def test_a_copy_is_independent_of_its_source(client: Any, bucket: Any, body: bytes) -> None:
    source = bucket.blob("x")
    source.metadata = {"a": "1"}
    source.upload_from_string(body, content_type="text/plain")
    other = client.create_bucket("other")
    copied = bucket.copy_blob(source, other, "y/z")
    source.delete()

    assert other.blob("y/z").download_as_bytes() == body
    assert (copied.metadata, copied.content_type, copied.generation != source.generation) == (
        {"a": "1"},
        "text/plain",
        True,
    )


def test_a_rewrite_is_done_in_one_call_and_its_preconditions_hold(bucket: Any) -> None:
    source, target = bucket.blob("x"), bucket.blob("y")
    source.upload_from_string(LARGE)

    assert target.rewrite(source, if_generation_match=0) == (None, len(LARGE), len(LARGE))
    with pytest.raises(PreconditionFailed):
        bucket.blob("y").rewrite(source, if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        bucket.blob("z").rewrite(source, if_source_generation_match=1)
    assert bucket.blob("y").download_as_bytes() == LARGE


def test_a_copy_of_a_noncurrent_generation_restores_it(versioned: Any) -> None:
    blob = versioned.blob("x")
    blob.upload_from_string(b"1")
    first = blob.generation
    blob.upload_from_string(b"2")

    versioned.copy_blob(versioned.blob("x"), versioned, "x", source_generation=first)

    assert versioned.blob("x").download_as_bytes() == b"1"


def test_no_name_reaches_outside_the_folder(folder: Path, connect: Callable[[str], Any]) -> None:
    with running(folder) as server:
        bucket = connect(server.url).create_bucket("state")
        for name in ("../../escape", "/etc/x", "a/../../b", "C:\\x", "nul\x00byte"):
            bucket.blob(name).upload_from_string(LARGE)
            assert bucket.blob(name).download_as_bytes() == LARGE

    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("name", [".", "..", "a\nb", "a\rb", ".well-known/acme-challenge/x", "x" * 1025])
def test_a_name_google_refuses_is_refused(bucket: Any, name: str) -> None:
    with pytest.raises((BadRequest, RefusedByServer, ValueError)):
        bucket.blob(name).upload_from_string(b"x")


def test_a_download_under_way_ends_with_the_generation_it_began_with(bucket: Any, http: httpx.Client) -> None:
    bucket.blob("x").upload_from_string(LARGE)
    with http.stream("GET", "/storage/v1/b/state/o/x?alt=media") as reply:
        pieces = reply.iter_raw(1024)
        read = next(pieces)
        bucket.blob("x").upload_from_string(b"2")
        read += b"".join(pieces)

    assert read == LARGE
