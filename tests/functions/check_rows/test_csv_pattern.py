"""What matches the pattern of good records is good, whatever the rules; and ordinary good text does match."""

import re
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from csv_intake import CsvIntake
from csv_pattern import pattern_of
from csv_scan import counted
from decimal_pattern import MAX_DIGITS, between
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from row_account import Account
from row_rules import ColumnRule, Rules

from shared.tables.forms import CSV, Dialect

SEMICOLON = Dialect(";", "'")
bounds = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 1.0, -1.0, 18, 100, 0.5, 99.99, 1e-7, 1e22]), st.floats(-1000, 1000)
)
numbers = st.one_of(
    st.integers(-1100, 1100).map(str),
    st.floats(-1100, 1100).map(str),
    st.decimals(-200, 200, places=3).map(str),
    st.from_regex(r"\A[-+]?0{0,2}[0-9]{0,3}\.?[0-9]{0,3}(?:[eE][-+]?[0-9]{1,3})?\Z"),
    st.sampled_from(
        ["1e400", "1e-400", "9" * 400, "9" * 20 + "e99", "-0", "0x1", "1_0", " 7 ", "nan", "inf", "١", "-"]
    ),
)
texts = st.one_of(
    st.text(max_size=4), st.text(" \t\x1f\xa0\u2003a,;'\"\r\n", max_size=4), st.sampled_from(["a", "b,;"])
)
cells = st.one_of(numbers, texts, st.just(""))


@st.composite
def column_rules(draw: st.DrawFn) -> ColumnRule:
    low, high = draw(bounds), draw(bounds)
    if low is not None and high is not None and low > high:
        low, high = high, low
    allowed = frozenset(draw(st.lists(cells, max_size=4))) if draw(st.booleans()) else frozenset[str]()
    kind = draw(st.sampled_from(["number", "text"]))
    return ColumnRule(kind, draw(st.booleans()), minimum=low, maximum=high, allowed=allowed)


def quoted(cell: str, dialect: Dialect, always: bool) -> str:
    if not always and not set(cell) & {dialect.delimiter, dialect.quote, "\r", "\n"}:
        return cell
    return dialect.quote + cell.replace(dialect.quote, 2 * dialect.quote) + dialect.quote


def account_of(text: bytes, rules: list[ColumnRule], dialect: Dialect, piece_bytes: int = 1 << 30) -> Account:
    names = [f"c{place}" for place in range(len(rules))]
    account = Account(Rules("c0", dict(zip(names, rules, strict=True)), known=True))
    header = dialect.delimiter.join(names).encode() + b"\n"
    CsvIntake(account, dialect, piece_bytes).read([header + text])
    return account


def matches(text: bytes, rules: list[ColumnRule], dialect: Dialect = CSV) -> bool:
    pattern = pattern_of(rules, range(len(rules)), dialect)
    return pattern is not None and pattern.matches(text, 0, len(text))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(column_rules(), min_size=1, max_size=3), st.data(), st.sampled_from([CSV, SEMICOLON]), st.booleans())
def test_what_matches_the_pattern_is_good_when_it_is_looked_at(
    rules: list[ColumnRule], data: st.DataObject, dialect: Dialect, always: bool
) -> None:
    choices = [st.one_of(cells, st.sampled_from(sorted(rule.allowed) or [""])) for rule in rules]
    records = data.draw(st.lists(st.tuples(*choices), min_size=1, max_size=4))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    lines = [dialect.delimiter.join(quoted(cell, dialect, always) for cell in record) for record in records]
    text = "".join(line + end for line in lines).encode("utf-8", "surrogatepass")
    if matches(text, rules, dialect):
        found, account = counted(text, dialect, 0, len(text)), account_of(text, rules, dialect)
        assert (account.rows, account.reading().problems) == (len(records), ())
        assert found is not None
        assert (found.end, found.records) == (len(text), len(records))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.text('a1,"\r\n .', max_size=40), st.lists(st.sampled_from(["number", "text"]), min_size=1, max_size=3))
@example('"a\n"\n', ["text"])
@example("\n1\n", ["text"])
@example('1"\n"\n', ["text"])
def test_text_of_any_kind_that_matches_is_read_as_it_was_counted(text: str, kinds: list[Any]) -> None:
    rules = [ColumnRule(kind) for kind in kinds]
    if matches(text.encode(), rules):
        found, account = counted(text.encode(), CSV, 0, len(text)), account_of(text.encode(), rules, CSV)
        assert {problem.code for problem in account.reading().problems} <= {"no-rows"}
        assert (found.end, found.records) == (len(text), account.rows) if found else not text


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.floats(0, 1e22), st.one_of(st.none(), st.floats(0, 1e22), st.integers(0, 200).map(float)), st.data())
def test_a_range_is_matched_by_the_decimals_within_and_no_others(
    low: float, high: float | None, data: st.DataObject
) -> None:
    assume(high is None or low <= high)
    edges = [Decimal(repr(low)), Decimal(repr(high if high is not None else 10.0 * low)), Decimal(0)]
    near = st.builds(
        lambda edge, move, digits: f"{abs(edge + move):.{digits}f}",
        st.sampled_from(edges), st.decimals(-2, 2, places=2) | st.just(Decimal(0)), st.integers(0, 12),
    )  # fmt: skip
    cell = data.draw(near | st.from_regex(r"\A0{0,2}[0-9]{1,5}\.?[0-9]{0,4}\Z"))
    within = edges[0] <= Decimal(cell) and (high is None or Decimal(cell) <= edges[1])
    found = pc.match_substring_regex(pa.array([cell]), rf"\A(?:{between(low, high)})\z")[0].as_py()
    assert found == (within and len(cell.partition(".")[0].lstrip("0")) <= MAX_DIGITS)


ORDINARY = [
    ('1,a\n-2.5e-3,"b, ""c"" \nd"\n', [ColumnRule("number"), ColumnRule("text")]),
    ('" +7.0 ",\r\n"",""\r\n', [ColumnRule("number"), ColumnRule("text")]),
    ("12345678901234567890,日本\n", [ColumnRule("number", filled=True), ColumnRule("text", filled=True)]),
    ('"""x"" said",1e-05\n', [ColumnRule("text", filled=True), ColumnRule("number", minimum=0, maximum=1)]),
    ("-89.999,18\n90.0,120.00\n", [ColumnRule("number", minimum=-90, maximum=90),
                                   ColumnRule("number", minimum=18, maximum=120)]),
    ('a,"b ""b"""\n,2\n', [ColumnRule("text", allowed=frozenset("a")),
                           ColumnRule("text", allowed=frozenset(['b "b"', "2"]))]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rules"), ORDINARY)
def test_ordinary_good_text_matches(text: str, rules: list[ColumnRule]) -> None:
    """Otherwise nothing would ever match, and the tests above would prove nothing."""
    assert matches(text.encode() * 300, rules)


@pytest.mark.parametrize("text", [b"\xff\n", b"\xed\xa0\x80\n", b"a\0\n", b"a\rb\n", b'a"b\n', b'"a"b\n', b"a", b"\n"])
def test_what_is_out_of_the_ordinary_does_not_match(text: bytes) -> None:
    assert matches(b"a\n", [ColumnRule("text")])
    assert not matches(text, [ColumnRule("text")])


def test_a_cell_of_nothing_but_blanks_is_not_filled() -> None:
    blanks = [chr(code) for code in range(0x3100) if chr(code).isspace()]
    assert len(blanks) == 29
    rules = [ColumnRule("text", filled=True), ColumnRule("text")]
    assert [blank for blank in blanks if matches(f' {blank},x\n" {blank}",x\n'.encode(), rules)] == []


def test_a_column_in_which_no_number_was_seen_yet_matches_only_when_empty() -> None:
    pattern = pattern_of([ColumnRule("number"), ColumnRule("text")], frozenset(), CSV)
    assert pattern is not None
    assert [pattern.matches(text, 0, len(text)) for text in (b',a\n"",b\n', b",a\n1,b\n")] == [True, False]


@pytest.mark.parametrize("first", ["", "1"])
def test_a_column_that_turns_into_text_far_behind_its_last_number_is_told_alike(first: str) -> None:
    text = (f"{first},a\n" + ",a\n" * 2_000 + "x,a\n" * 30).encode()
    rules = [ColumnRule("number"), ColumnRule("text")]
    (problem,) = account_of(text, rules, CSV, 64).reading().problems
    assert problem == account_of(text, rules, CSV).reading().problems[0]
    assert problem.code == ("not-a-number" if first else "type-changed")


class Watched(Account):
    """Counts the rows that are looked at."""

    looked = 0

    def look(self, batch: Any) -> None:
        self.looked += len(batch.rows)
        super().look(batch)


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (b"1.5e+02,\n", [ColumnRule("number", minimum=0, maximum=1e6), ColumnRule("text")]),
        (b",".join([b"1.5"] * 400) + b"\n", [ColumnRule("number", minimum=0)] * 400),
    ],
    ids=["numbers written as no pattern knows them", "more columns than a pattern has"],
)
def test_what_no_pattern_knows_is_proven_by_a_library(row: bytes, rules: list[ColumnRule]) -> None:
    assert not matches(row, rules)
    names = [f"c{place}" for place in range(len(rules))]
    account = Watched(Rules("c0", dict(zip(names, rules, strict=True)), known=True))
    count = (6 << 20) // len(row)
    CsvIntake(account, CSV).read([",".join(names).encode() + b"\n", *[row * (count // 6)] * 6])
    assert (account.rows, account.reading().accepted) == (count // 6 * 6, True)
    assert account.looked < count / 4


def test_marks_that_are_parts_of_numbers_have_no_pattern() -> None:
    assert [pattern_of([ColumnRule("number")], {0}, Dialect(mark)) for mark in "1 .-e"] == [None] * 5


def test_a_pattern_is_no_longer_than_it_is_quick() -> None:
    many = ColumnRule("text", allowed=frozenset(f"value {each}" for each in range(3_000)))
    assert pattern_of([many], {0}, CSV) is None
    assert pattern_of([ColumnRule("number")] * 10_000, range(10_000), CSV) is None


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("0.5", ColumnRule("number", maximum=-0.0)),
        ("1e-1", ColumnRule("number", minimum=0, maximum=0.05)),
        ("1e-1", ColumnRule("number", minimum=0.5)),
        ("9" * 400, ColumnRule("number")),
        ("9" * 20 + "e300", ColumnRule("number")),
        ("b", ColumnRule("number", allowed=frozenset(["1", "b"]))),
        ("7", ColumnRule("number", maximum=5, allowed=frozenset(["1", "7"]))),
    ],
)
def test_a_bad_cell_at_the_edge_does_not_match(cell: str, rule: ColumnRule) -> None:
    assert not matches(f"{cell},\n".encode(), [rule, ColumnRule("text")])


def test_a_bound_that_is_no_number_has_no_pattern() -> None:
    assert pattern_of([ColumnRule("number", maximum=float("nan"))], {0}, CSV) is None


def test_the_marks_of_a_dialect_are_themselves_in_a_pattern() -> None:
    for mark in "|^$*]\\":
        dialect = Dialect(mark, "'")
        text = f"'a{mark}'{mark}1\nb{mark}2\n".encode()
        assert matches(text, [ColumnRule("text"), ColumnRule("number")], dialect), re.escape(mark)
