"""Listings: order, prefixes, delimiters, offsets, generations, pages; against a plain model of what they should be."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.storage.listing import successor

NAMES = ["a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b/1", "b/2", "c", "é", "\U0001f426", "￿"]


@pytest.fixture
def filled(bucket: Any) -> Any:
    for name in reversed(NAMES):
        bucket.blob(name).upload_from_string(b"x")
    return bucket


def names(bucket: Any, **query: Any) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(**query)]


def test_names_come_in_the_order_of_their_utf8_bytes(filled: Any) -> None:
    assert names(filled) == sorted(NAMES, key=str.encode)


@pytest.mark.parametrize("page_size", [1, 2, 5, 1000])
def test_pages_are_the_listing_cut_in_pieces(filled: Any, page_size: int) -> None:
    assert names(filled, page_size=page_size) == sorted(NAMES, key=str.encode)
    assert names(filled, max_results=3) == sorted(NAMES, key=str.encode)[:3]


def test_prefix_and_offsets_narrow_the_listing(filled: Any) -> None:
    assert names(filled, prefix="a/") == ["a/", "a/1", "a/2/x", "a/2/y"]
    assert names(filled, start_offset="a/2", end_offset="b/2") == ["a/2/x", "a/2/y", "a0", "b/1"]
    assert names(filled, prefix="a/", start_offset="a/2/y") == ["a/2/y"]
    assert names(filled, prefix="nothing") == []


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_a_delimiter_folds_what_lies_below_into_prefixes(filled: Any, page_size: int) -> None:
    def folded(prefix: str) -> tuple[list[str], list[str]]:
        pages = filled.list_blobs(prefix=prefix, delimiter="/", page_size=page_size)
        return [blob.name for blob in pages], sorted(pages.prefixes)

    assert folded("") == (["a", "a0", "c", "é", "￿", "\U0001f426"], ["a/", "b/"])
    assert folded("a/") == (["a/", "a/1"], ["a/2/"])
    assert folded("a/2/") == (["a/2/x", "a/2/y"], [])


def test_a_listing_carries_generation_and_custom_metadata(bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.metadata = {"rows": "20"}
    blob.upload_from_string(b"x")

    [listed] = bucket.list_blobs(fields="items(name,generation,metadata),nextPageToken")

    assert (listed.generation, listed.metadata) == (blob.generation, {"rows": "20"})


def test_only_the_fields_asked_for_are_answered(bucket: Any, http: httpx.Client) -> None:
    bucket.blob("x").upload_from_string(b"x")

    def answered(path: str, fields: str) -> Any:
        return http.get(path, params={"fields": fields}).json()

    assert answered("/storage/v1/b/state/o", "items(name,size)") == {"items": [{"name": "x", "size": "1"}]}
    assert answered("/storage/v1/b/state/o", "kind,items/name") == {"kind": "storage#objects", "items": [{"name": "x"}]}
    assert answered("/storage/v1/b/state/o/x", "name,nothing") == {"name": "x"}
    assert answered("/storage/v1/b/state", "*") == http.get("/storage/v1/b/state").json()


@pytest.mark.parametrize("fields", ["(", "a(", "a(b", "a)", ",", "a,", "a//b", "a b", "a(" * 10_000])
def test_a_selection_of_fields_that_cannot_be_read_is_refused(http: httpx.Client, fields: str) -> None:
    assert http.get("/storage/v1/b?project=p", params={"project": "p", "fields": fields}).status_code == 400


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_versions_are_listed_oldest_first_and_only_on_request(bucket: Any, page_size: int) -> None:
    bucket.versioning_enabled = True
    bucket.patch()
    written = []
    for name in ("a", "b", "a", "a"):
        blob = bucket.blob(name)
        blob.upload_from_string(b"x")
        written.append((name, blob.generation))
    bucket.blob("b").delete()

    listed = [(blob.name, blob.generation) for blob in bucket.list_blobs(versions=True, page_size=page_size)]

    assert listed == sorted(written)
    assert names(bucket) == ["a"]


def test_what_was_just_written_is_listed_and_what_was_just_deleted_is_not(bucket: Any) -> None:
    bucket.blob("x").upload_from_string(b"x")
    assert names(bucket) == ["x"]

    bucket.blob("x").delete()
    assert names(bucket) == []


@pytest.mark.parametrize("token", ["x", "%%%", "bnVsbA==", "WzEsMl0=", "WyJhIiwgMS41XQ==", "WyJcdWQ4MDAiLDFd"])
@pytest.mark.usefixtures("bucket")
def test_a_page_token_that_is_none_of_ours_is_refused(http: httpx.Client, token: str) -> None:
    assert http.get("/storage/v1/b/state/o", params={"pageToken": token}).status_code == 400


@pytest.mark.usefixtures("bucket")
def test_a_parameter_that_would_change_the_listing_is_not_ignored(http: httpx.Client) -> None:
    assert http.get("/storage/v1/b/state/o", params={"matchGlob": "**/x"}).status_code == 501


@pytest.mark.usefixtures("bucket")
def test_a_page_size_that_is_no_number_is_refused(http: httpx.Client) -> None:
    for text in ("x", "1.5", "9" * 30, "１"):
        assert http.get("/storage/v1/b/state/o", params={"maxResults": text}).status_code == 400


@given(prefix=st.text(max_size=4), tail=st.text(max_size=4), other=st.text(max_size=5))
def test_the_successor_of_a_prefix_lies_right_above_all_that_begin_with_it(prefix: str, tail: str, other: str) -> None:
    above = successor(prefix)

    if above is None:
        assert prefix.strip("\U0010ffff") == ""
        return
    assert (prefix + tail).encode() < above.encode()
    if other.encode() >= prefix.encode() and not other.startswith(prefix):
        assert other.encode() >= above.encode()
