"""The same rows in every format come to the same count; a file that is damaged or meant to harm gets a reason."""

import gzip
import io
import json
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.tables.cells import MAX_RECORD_BYTES
from tests.functions.reading_rows import codes, reading

ROWS: list[dict[str, Any]] = [
    {"size": 1, "kind": 'a "b", c', "y": "x"},
    {"size": None, "kind": "line\r\nbreak", "y": "z"},
    {"size": 2.5, "kind": None, "y": "x"},
    {"size": 3, "kind": "ü", "y": "z"},
]
CSV = 'size,kind,y\r\n1,"a ""b"", c",x\r\n,"line\r\nbreak",z\r\n2.5,,x\r\n3,ü,z\r\n'.encode()
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def parquet(table: dict[str, Any] | None = None, **options: Any) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.table(table) if table else pa.Table.from_pylist(ROWS), made, **options)
    return made.getvalue()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv", CSV),
        ("a.csv", b"\xef\xbb\xbf" + CSV),
        ("a.csv", CSV.rstrip()),
        ("a.csv", CSV.replace(b"3,", b"\n\n3,")),
        ("a.txt", CSV),
        ("a.csv.gz", gzip.compress(CSV)),
        ("a.csv.gz", gzip.compress(CSV[:30]) + gzip.compress(CSV[30:]) + b"\0" * 512),
        ("a.csv", gzip.compress(CSV)),
        ("a.jsonl", LINES),
        ("a.ndjson", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n")),
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("a.parquet", parquet()),
        ("a.parquet", parquet(row_group_size=1, write_statistics=False)),
        ("part-00000", parquet()),
    ],
    ids=map(str, range(14)),
)
def test_the_same_rows_in_every_format_come_to_the_same_count(name: str, body: bytes) -> None:
    found = reading(body, f"data/m/{name}")
    assert (codes(found), found.rows, found.accepted) == ([], 4, True)


def test_cells_may_be_marked_as_the_settings_say() -> None:
    body = b"size;kind;y\n1;'a;\n''b''';x\n"
    assert reading(body, delimiter=";", quote="'", columns={"kind": {"allowed": ["a;\n'b'"]}}).accepted


def test_missing_keys_and_nested_values_of_json() -> None:
    lines = b'{"y": "x"}\n{"size": [1], "y": "x"}\nnull\n{"size": 1, "size": 2, "y": "x"}\n{"size": NaN, "y": "x"}\n{\n'
    found = reading(lines, "a.jsonl")
    assert {problem.code: problem.rows for problem in found.problems} == {
        "missing-column": (),
        "nested-value": (2,),
        "not-json": (3, 4, 5, 6),
    }


def test_json_keeps_the_digits_that_a_number_is_written_with() -> None:
    body = b'{"size": 1, "kind": "a", "y": 12345678901234567890}\n'
    assert reading(body, "a.jsonl", columns={"y": {"allowed": ["12345678901234567890"]}}).accepted


@pytest.mark.parametrize(
    ("column", "values", "code", "settings"),
    [
        ("size", pa.array([1.0, None, float("inf"), 2.0]), "not-a-number size", {}),
        ("size", pa.array([1, 2, 3, 11]), "above-maximum size", {"columns": {"size": {"maximum": 10}}}),
        ("size", pa.array([1, None, 3, 4]), "missing-value size", {"columns": {"size": {"required": True}}}),
        (
            "size",
            pa.array([1.0, float("nan"), 1.0, 1.0]),
            "missing-value size",
            {"columns": {"size": {"required": True}}},
        ),
        ("size", pa.array(["1", "2", "x", "4"]), "not-a-number size", {}),
        ("size", pa.array([[1], [2], [3], [4]]), "not-cells size", {}),
        ("kind", pa.array([1, 2, 3, 4]), "type-changed kind", {}),
        ("y", pa.array(["x", " ", "z", "x"]), "missing-target y", {}),
        ("size", pa.array([1, 1, 2, 3]), "duplicate-key", {"unique": ["size"]}),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_a_rule_that_parquet_breaks_is_found_with_statistics_and_without(
    column: str, values: Any, code: str, settings: dict[str, Any], statistics: bool
) -> None:
    table = {"size": pa.array([1, 2, 3, 4]), "kind": pa.array(["a"] * 4), "y": pa.array(["x"] * 4)} | {column: values}
    found = reading(parquet(table, write_statistics=statistics, row_group_size=2), "a.parquet", **settings)
    assert codes(found) == [code]
    assert found.rows in (4, 0)


def test_parquet_is_counted_by_its_footer_when_the_statistics_prove_the_rules() -> None:
    from tests.world.cloud import MemoryCloud

    table = {name: pa.array(range(300_000)) for name in ("size", "y")}
    body = parquet(table, row_group_size=100_000, compression="none")
    cloud = MemoryCloud()
    found = reading(body, "a.parquet", {"size": "number", "y": "number"}, cloud, columns={"size": {"minimum": 0}})
    assert (found.accepted, found.rows) == (True, 300_000)
    assert len(body) > 4_000_000
    assert cloud.door.effects.count("storage.read") <= 4  # a head and a few about the footer, whatever the size


def truncated(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


def lying_footer(body: bytes) -> bytes:
    return body[:-8] + struct.pack("<I", 2**31) + b"PAR1"


HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("a.csv.gz", lambda: truncated(gzip.compress(CSV * 100)), "truncated-gzip"),
    ("a.csv.gz", lambda: gzip.compress(CSV)[:-5] + b"\0" * 5, "damaged-gzip"),
    ("a.csv.gz", lambda: gzip.compress(CSV) + b"more", "damaged-gzip"),
    ("a.csv.gz", lambda: CSV, "wrong-format"),
    ("a.parquet", lambda: CSV, "wrong-format"),
    ("a.parquet", lambda: truncated(parquet()), "truncated-parquet"),
    ("a.parquet", lambda: lying_footer(parquet()), "not-parquet"),
    ("a.parquet", lambda: b"PAR1" + b"\0" * 40 + struct.pack("<I", 20) + b"PAR1", "not-parquet"),
    ("a.csv", lambda: "size,kind,y\n1,a,x\n".encode("utf-16"), "not-utf-8"),
    ("a.csv", lambda: b"size,kind,y\n" + b'1,"' + b"a" * (MAX_RECORD_BYTES + (3 << 20)), "record-too-long"),
    ("a.csv", lambda: b"c," * 500_000 + b"c\n", "too-many-columns"),
    ("a.jsonl", lambda: b"{" + b" " * (MAX_RECORD_BYTES + (3 << 20)), "record-too-long"),
    ("a.jsonl", lambda: b"{" + b",".join(b'"k%d":1' % each for each in range(10_001)) + b"}", "too-many-columns"),
    ("a.csv.gz", lambda: bomb(200 << 20), "gzip-bomb"),
    ("a.csv.gz", lambda: bomb(50 << 20), "record-too-long"),
]


def bomb(size: int) -> bytes:
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=9) as packed:
        packed.write(b"size,kind,y\n")
        for _ in range(size >> 20):
            packed.write(b"1,a,x\n" * 174_763 if size > 100 << 20 else b"a" * (1 << 20))
    return made.getvalue()


@pytest.mark.parametrize(("name", "made", "code"), HOSTILE, ids=[f"{name} {code}" for name, _, code in HOSTILE])
def test_what_is_damaged_or_meant_to_harm_has_a_reason(name: str, made: Callable[[], bytes], code: str) -> None:
    found = reading(made(), f"data/m/{name}")
    assert code in codes(found)
    assert not found.accepted


def test_a_damaged_page_is_a_reason_and_no_crash() -> None:
    labels = pa.array([f"label {each}" for each in range(5000)])
    body = bytearray(parquet({"size": labels, "kind": labels, "y": labels}, use_dictionary=False))
    footer = len(body) - 8 - struct.unpack("<I", body[-8:-4])[0]
    body[4:footer] = bytes(each ^ 0x5A for each in body[4:footer])
    assert codes(reading(bytes(body), "a.parquet")) == ["damaged-parquet"]


def test_memory_does_not_grow_with_the_file() -> None:
    row = b'1,"a\nb",x\n'
    peaks = []
    for count in (1_600_000, 4_800_000):
        body = b"size,kind,y\n" + row * count
        tracemalloc.start()
        assert reading(body).rows == count
        peaks.append(tracemalloc.get_traced_memory()[1] - len(body))
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (4 << 20)
