"""Whatever a file holds, every row is counted once: accepted, written aside or rejected; and what is proven is true."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

from csv_intake import CsvIntake
from csv_scan import scan
from hypothesis import given, settings
from hypothesis import strategies as st
from row_account import Account, Reading
from row_rules import rules_of

from shared.settings import DataSettings
from shared.tables.cells import Unreadable
from shared.tables.csv_text import Piece
from shared.tables.forms import CSV
from tests.functions.reading_rows import SCHEMA, reading

RULES = {"size": {"minimum": -5, "maximum": 50, "required": True}, "kind": {"allowed": ["a", 'b "b"', "c\nc", "1"]}}
ODD_CELLS = ["", " ", "1", "-3", "2.5", "1e2", "+4", ".5", "5.", "1_0", "nan", "-inf", "1e999", "0x1", "one", " 7",
             "7 ", "a", 'b "b"', "c\nc", "c\r\nc", ",", '"', "ü", "١", "\0", "=1+1", "x"]  # fmt: skip
cells = st.one_of(st.sampled_from(ODD_CELLS), st.integers(-9, 99).map(str), st.floats().map(str), st.text(max_size=4))
good_rows = st.tuples(st.integers(-5, 50).map(str), st.sampled_from(["a", 'b "b"', "c\nc", ""]), st.sampled_from("xz"))
rows = st.one_of(good_rows, good_rows, st.tuples(cells, cells, cells), st.lists(cells, max_size=5))
some_rows = st.lists(st.one_of(good_rows, rows).map(list), max_size=25)


def written(found: list[list[str]], end: str, quoting: int) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([["size", "kind", "y"], *found])
    return text.getvalue().encode("utf-8", "surrogatepass")


def chunked(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def account_of(body: bytes, piece_bytes: int, chunk: int, **told: Any) -> Reading | str:
    """The account of a CSV file whose pieces are proven from this size on; the code if it cannot be read."""
    account = Account(rules_of(DataSettings.model_validate({"target": "y", **told}), SCHEMA))
    try:
        CsvIntake(account, CSV, piece_bytes).read(chunked(body, chunk))
    except Unreadable as unreadable:
        return unreadable.code
    return account.reading()


def counted_independently(body: bytes) -> int:
    """The rows of a CSV file as Python's own reader of files counts them, the header and blank lines left out."""
    text = io.StringIO(body.decode("utf-8-sig", "surrogateescape"), newline="")
    return sum(1 for record in csv.reader(text) if record) - 1


ends = st.sampled_from(["\n", "\r\n", "\r"])
quotings = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(some_rows, ends, quotings, st.floats(0, 0.9))
def test_accepted_and_quarantined_and_rejected_rows_are_the_rows_of_the_file(
    found: list[list[str]], end: str, quoting: int, share: float
) -> None:
    body = written(found, end, quoting)
    told = reading(body, columns=RULES, bad_rows_share=share)
    accepted = told.rows - told.bad_rows if told.accepted else 0
    quarantined = len(told.quarantine) if told.accepted else 0
    rejected = 0 if told.accepted else told.rows
    assert accepted + quarantined + rejected == counted_independently(body)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(some_rows, ends, quotings, st.integers(1, 60), st.integers(1, 90))
def test_what_is_proven_in_pieces_is_what_is_seen_cell_by_cell(
    found: list[list[str]], end: str, quoting: int, piece: int, chunk: int
) -> None:
    body = written(found, end, quoting)
    whole = account_of(body, 1 << 30, 1 << 30, columns=RULES, bad_rows_share=0.9)
    assert account_of(body, piece, chunk, columns=RULES, bad_rows_share=0.9) == whole


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text('a1,"\r\n ü', max_size=60), st.integers(1, 30), st.integers(1, 40))
def test_text_of_any_kind_is_read_alike_in_pieces_and_whole(text: str, piece: int, chunk: int) -> None:
    body = b"size,kind,y\n" + text.encode()
    assert account_of(body, piece, chunk) == account_of(body, 1 << 30, 1 << 30)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text('a1,"\r\n', max_size=200), st.integers(1, 3))
def test_what_a_scan_calls_ordinary_is_what_the_csv_reader_reads(text: str, width: int) -> None:
    found = scan(text.encode(), CSV, width)
    if found is None:
        return
    records = list(Piece(text.encode()[: found.end], CSV, final=True).records())
    assert (len(records), {len(record) for record in records}) == (found.records, {width})


def test_a_scan_knows_ordinary_text_when_it_sees_it() -> None:
    """Otherwise nothing would ever be proven, and the tests above would prove nothing."""
    ordinary = ['1,a\n2,"b,\n""c"""\n', '"1","a"\r\n"2","b"\r\n', "1,\n,2\n", ",\n" * 100, '"",""\n' * 33, "1,2\n3"]
    assert [found and found.records for found in (scan(text.encode(), CSV, 2) for text in ordinary)] == [
        2, 2, 2, 100, 33, 1,
    ]  # fmt: skip


def test_good_pieces_are_proven_and_only_the_bad_are_looked_at() -> None:
    looked: list[int] = []

    class Watched(Account):
        def look(self, batch: Any) -> None:
            looked.append(len(batch.rows))
            super().look(batch)

    account = Watched(rules_of(DataSettings.model_validate({"target": "y", "columns": RULES}), SCHEMA))
    good = b'1,"c\nc",x\n' * 200_000
    CsvIntake(account, CSV).read(chunked(b"size,kind,y\n" + good + b"1,a\n" + good + b"one,a,x\n" + good, 2 << 20))
    told = account.reading()
    assert (told.rows, told.bad_rows) == (600_002, 2)
    assert {problem.code: problem.rows for problem in told.problems} == {
        "wrong-width": (200_001,),
        "not-a-number": (400_002,),
    }
    assert sum(looked) < 250_000


json_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.none()))
json_rows = st.lists(st.dictionaries(st.sampled_from(["size", "kind", "y", "more"]), json_values), max_size=20)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(json_rows, st.booleans(), st.floats(0, 0.9))
def test_every_line_of_json_is_a_row(found: list[dict[str, Any]], packed: bool, share: float) -> None:
    body = "".join(json.dumps(row) + "\n" for row in found).encode()
    told = reading(gzip.compress(body) if packed else body, "a.jsonl", bad_rows_share=share)
    assert told.rows == len(found)
    assert told.bad_rows == len(told.quarantine) or not share


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(["a.csv", "a.csv.gz", "a.jsonl", "a.parquet"]), st.binary(max_size=200), st.sampled_from(
    [b"", b"size,kind,y\n", b"\x1f\x8b\x08\x00", b"PAR1", b"{"]))  # fmt: skip
def test_bytes_of_any_kind_come_to_a_verdict(name: str, body: bytes, begin: bytes) -> None:
    told = reading(begin + body, name)
    assert told.accepted or told.problems
