"""What a library would take for good in the middle of a big file is what it is when every cell is looked at."""

import pytest
from csv_proof import Proof
from row_rules import ColumnRule

from shared.tables.forms import BOM, CSV, Dialect
from tests.functions.check_rows.test_csv_pattern import account_of

NUMBER, TEXT, FILLED = ColumnRule("number"), ColumnRule("text"), ColumnRule("text", True)
TABS = Dialect(",", "\t")
GOOD = 40_000
"""Rows around the odd one: more than a piece, so that the file is not just looked at."""


def told(rules: list[ColumnRule], row: bytes, odd: bytes, at: int, dialect: Dialect, piece_bytes: int) -> object:
    text = row * at + odd + row * (GOOD - at)
    return account_of(text, rules, dialect, piece_bytes).reading()


@pytest.mark.parametrize(
    ("rules", "row", "odd", "at", "dialect"),
    [
        ([NUMBER, TEXT], b"12,some text that is long enough to fill\n", b" ,a\n", 22_000, CSV),
        ([NUMBER, TEXT], b"12,some text that is long enough to fill\n", b"\t,a\n", 22_000, CSV),
        ([NUMBER, TEXT], b"12,some text that is long enough to fill\n", b'" ",a\n', 22_000, CSV),
        ([NUMBER, FILLED], b"12,some text that is long enough to fill\n", b"1,\x1f\n", 22_000, CSV),
        ([FILLED, TEXT], b"some,some text that is long enough to fill\n", b"\t\t\t\t,a\n", 22_000, TABS),
    ],
    ids=["blank", "tab", "quoted blank", "separator of units", "tab for a quote"],
)
def test_an_odd_cell_counts_the_same_however_big_the_file_is(
    rules: list[ColumnRule], row: bytes, odd: bytes, at: int, dialect: Dialect
) -> None:
    assert told(rules, row, odd, at, dialect, 1 << 20) == told(rules, row, odd, at, dialect, 1 << 30)


def test_a_mark_before_a_number_is_no_proof_of_it() -> None:
    """Wherever a stretch may begin: polars takes a byte-order mark there for the file's own."""
    proof = Proof([NUMBER, TEXT], CSV)
    assert proof.holds(b"5,a\n1,b\n", 2, 64) == {0}
    assert proof.holds(BOM + b"5,a\n1,b\n", 2, 64) is None


def test_a_header_that_is_refused_ends_the_reading_of_a_big_file_too() -> None:
    rules = [TEXT] * 10_001
    row = b"," * 10_000 + b"\n"
    found = [account_of(row * 300, rules, CSV, size) for size in (1 << 20, 1 << 30)]
    assert [each.rows for each in found] == [0, 0]
