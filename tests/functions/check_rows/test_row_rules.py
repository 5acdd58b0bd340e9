"""Every rule: what breaks it, under which code, how often and where; and what breaks none."""

from pathlib import Path
from typing import Any

import pytest
from row_account import Account
from row_problems import FILE_CODES, NOTICE_CODES, ROW_CODES, Problem, shown
from row_rules import ColumnRule, Rules

from shared.tables.cells import Batch
from tests.functions.reading_rows import SCHEMA, codes, reading

HEADER = b"size,kind,y\n"
GOOD = HEADER + b"1,a,x\n2,b,z\n3,,x\n"
LIMITS = {"size": {"minimum": 0, "maximum": 9}, "kind": {"allowed": ["a", "b"]}}


def test_good_rows_are_accepted_and_counted() -> None:
    found = reading(GOOD)
    assert (found.accepted, found.rows, found.bad_rows, found.problems, found.notices) == (True, 3, 0, (), ())


@pytest.mark.parametrize(
    ("row", "code", "settings"),
    [
        (b"1,a", "wrong-width", {}),
        (b"1,a,x,1", "wrong-width", {}),
        (b"1,\xff,x", "not-utf-8", {}),
        (b"1,a\0b,x", "nul-character kind", {}),
        (b"1,a,", "missing-target y", {}),
        (b"1,a, ", "missing-target y", {}),
        (b",a,x", "missing-value size", {"columns": {"size": {"required": True}}}),
        (b"1,a\tb\0,x", "nul-character kind", {"columns": LIMITS | {"kind": {}}}),
        (b"one,a,x", "not-a-number size", {}),
        (b"inf,a,x", "not-a-number size", {}),
        (b"nan,a,x", "not-a-number size", {}),
        (b"1_0,a,x", "not-a-number size", {}),
        ("١,a,x".encode(), "not-a-number size", {}),
        (b"-0.1,a,x", "below-minimum size", {"columns": LIMITS}),
        (b"9.1,a,x", "above-maximum size", {"columns": LIMITS}),
        (b"1,c,x", "not-allowed kind", {"columns": LIMITS}),
        (b"2,b,z", "duplicate-key", {"unique": ["size", "kind"]}),
    ],
)
def test_a_bad_row_has_a_code_and_its_number(row: bytes, code: str, settings: dict[str, Any]) -> None:
    found = reading(GOOD + row + b"\n", **settings)
    assert codes(found) == [code]
    assert (found.problems[0].count, found.problems[0].rows) == (1, (4,))
    assert (found.accepted, found.rows, found.bad_rows) == (False, 4, 1)


def test_a_cell_of_blanks_is_empty() -> None:
    assert codes(reading(HEADER + b"1, ,x\n", columns={"kind": {"required": True}})) == ["missing-value kind"]


def test_a_cell_longer_than_any_may_be_is_a_bad_cell() -> None:
    assert codes(reading(GOOD + b"1," + b"a" * ((1 << 20) + 1) + b",x\n")) == ["cell-too-long kind"]


@pytest.mark.parametrize(
    ("body", "code", "settings"),
    [
        (b"size,y\n1,x\n", "missing-column kind", {}),
        (b"size,kind,kind,y\n1,a,a,x\n", "duplicate-column kind", {}),
        (GOOD, "missing-column id", {"unique": ["id"]}),
        (b"size,kind,y,more\n1,a,x,1\n", "new-column more", {"new_columns": "reject"}),
        (HEADER + b"a,a,x\n" * 20, "type-changed size", {}),
        (HEADER, "no-rows", {}),
        (b"\n\n", "empty-file", {}),
        (GOOD, "too-large", {"max_bytes": 10}),
        (GOOD, "too-many-rows", {"max_rows": 2}),
        (b",".join(b"c%d" % each for each in range(10_001)) + b"\n", "too-many-columns", {}),
        (b"size,kind,y," + b"n" * 257 + b"\n1,a,x,1\n", "column-name-too-long", {}),
        (GOOD + b'1,"a,x\n', "unclosed-quote", {}),
    ],
)
def test_what_is_wrong_with_the_file_has_a_code(body: bytes, code: str, settings: dict[str, Any]) -> None:
    found = reading(body, **settings)
    assert codes(found) == [code]
    assert not found.accepted


def test_every_problem_is_counted_with_up_to_five_examples() -> None:
    found = reading(HEADER + b"1,a,x\n" + b"one,a,\n" * 7 + b"2,b\n", columns={"kind": {"allowed": ["b"]}})
    assert {problem.code: (problem.count, problem.rows) for problem in found.problems} == {
        "not-a-number": (7, (2, 3, 4, 5, 6)),
        "missing-target": (7, (2, 3, 4, 5, 6)),
        "not-allowed": (8, (1, 2, 3, 4, 5)),
        "wrong-width": (1, (9,)),
    }
    assert found.bad_rows == 9


def test_an_added_column_is_a_notice_and_the_rows_count() -> None:
    found = reading(b"size,kind,y,more\n1,a,x,1\n")
    assert (found.accepted, [str(each) for each in found.notices]) == (
        True,
        ["new-column: column 'more' is not in the schema and is left out of training until the settings name it"],
    )


def test_a_column_that_the_settings_name_belongs_to_the_schema() -> None:
    assert reading(b"size,kind,y,more\n1,a,x,1\n", columns={"more": {"kind": "number"}}).notices == ()
    assert codes(reading(GOOD, columns={"more": {"kind": "number"}})) == ["missing-column more"]
    assert reading(GOOD, columns={"more": {"kind": "number", "optional": True}}).accepted


def test_columns_may_stand_in_another_order() -> None:
    assert reading(b"y,kind,size\nx,a,1\n").accepted


def test_numbers_where_the_schema_says_text_are_texts() -> None:
    assert reading(HEADER + b"1,7,x\n").accepted


def test_a_first_upload_shows_the_kinds_of_its_columns() -> None:
    found = reading(GOOD, schema=None)
    assert (found.accepted, dict(found.columns)) == (True, SCHEMA)


def test_the_settings_word_on_a_kind_comes_before_what_cells_look_like() -> None:
    columns = {"size": {"kind": "text"}, "kind": {"minimum": 0}}
    found = reading(b"size,kind,y\n1,2,x\n", schema=None, columns=columns)
    assert dict(found.columns) == {"size": "text", "kind": "number", "y": "text"} | {"y": found.columns["y"]}


def test_bad_rows_up_to_the_share_are_written_aside_with_their_reasons() -> None:
    found = reading(GOOD + b"one,a,x\n", bad_rows_share=0.25)
    assert found.accepted
    assert [(bad.row, bad.reasons, bad.cells) for bad in found.quarantine] == [
        (4, ("not-a-number size",), ("one", "a", "x"))
    ]
    assert not reading(GOOD + b"one,a,x\n", bad_rows_share=0.24).accepted


def test_a_file_of_bad_rows_alone_is_rejected_whatever_the_share() -> None:
    assert not reading(HEADER + b"one,a,x\n", bad_rows_share=0.99).accepted


def test_what_a_sensitive_column_holds_is_neither_told_nor_written_aside() -> None:
    rows = GOOD + b"one,secret,x\n4,secret\n"
    columns = {"kind": {"sensitive": True, "allowed": ["a", "b"]}}
    found = reading(rows, bad_rows_share=0.5, columns=columns)
    assert [bad.cells for bad in found.quarantine] == [("one", "", "x"), None]
    assert not any("secret" in str(problem) for problem in found.problems)


def test_no_problem_quotes_a_cell() -> None:
    found = reading(HEADER + b"secret,secret,\n" * 3 + b"secret\n")
    assert found.problems
    assert not any("secret" in str(problem) for problem in found.problems)


def test_too_many_rows_for_the_unique_columns_is_said_and_rejects_if_the_settings_want_it() -> None:
    for rejects in (False, True):
        rules = Rules("y", {"y": ColumnRule("text", filled=True)}, known=True, unique=("y",), max_unique_rows=3,
                      unchecked_unique_rejects=rejects)  # fmt: skip
        account = Account(rules)
        account.look(Batch(["y"], [["a"], ["b"], ["c"], ["d"], ["a"]]))
        found = account.reading()
        assert (found.accepted, "not-checked" in codes(found)) == (not rejects, rejects)
        assert [notice.code for notice in found.notices] == ([] if rejects else ["not-checked"])


@pytest.mark.parametrize(
    ("limit", "code"), [({"max_bad_rows": 100}, "hopeless"), ({"max_looked_at_cells": 100}, "too-slow")]
)
def test_what_would_be_read_for_ever_is_left_with_a_reason(limit: dict[str, int], code: str) -> None:
    account = Account(Rules("y", {"y": ColumnRule("text", filled=True)}, known=True, **limit))  # type: ignore[arg-type]
    batches = 0
    while account.readable():
        account.look(Batch(["y"], [[""]] * 60))
        batches += 1
    found = account.reading(complete=False)
    assert (batches, found.rows, found.accepted, codes(found)[0]) == (2, 120, False, code)


def test_the_page_of_verdicts_lists_every_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text()
    rows = [
        f"| `{code}` | {told} |" for told_by in (ROW_CODES, FILE_CODES, NOTICE_CODES) for code, told in told_by.items()
    ]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows


def test_every_code_is_explained_once() -> None:
    for code in {**ROW_CODES, **FILE_CODES, **NOTICE_CODES}:
        assert str(Problem(code)).startswith(f"{code}: the file ")


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("a\nb", "'a\\u000ab'"),
        ("\x1b[31mred", "'\\u001b[31mred'"),
        ("a\u202etxt.exe", "'a\\u202etxt.exe'"),
        ("x" * 200, "'" + "x" * 79 + "…'"),
        ("=cmd()", "'=cmd()'"),
    ],
)
def test_names_are_shown_without_what_steers_a_terminal(name: str, seen: str) -> None:
    assert shown(name) == seen
