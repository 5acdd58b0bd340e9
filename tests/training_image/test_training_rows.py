"""Bytes become one typed table, or every reason why not."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.tables.forms import Dialect
from training_image.errors import BadData, Untrainable
from training_image.rows import MAX_TEXTS_PER_COLUMN, Feature, Upload, read_table


def upload(text: str, name: str = "rows.csv") -> Upload:
    return Upload(name, text.encode())


def reasons_of(*uploads: Upload, target: str = "y") -> tuple[str, ...]:
    with pytest.raises(BadData) as caught:
        read_table([], list(uploads), target)
    return caught.value.reasons


def test_columns_are_typed_over_all_files_together() -> None:
    table = read_table([upload("a,b,y\n1,2,x\n")], [upload("a,b,y\n3,red,z\n")], "y")
    assert table.features == (Feature("a", "number"), Feature("b", "text"))
    assert table.numbers.tolist() == [[1.0], [3.0]]
    assert table.texts.tolist() == [["2"], ["red"]]
    assert table.target.tolist() == ["x", "z"]


def test_only_the_rows_of_the_new_window_are_judged() -> None:
    table = read_table([upload("a,y\n1,x\n2,z\n")], [upload("a,y\n3,x\n"), upload("a,y\n4,z\n")], "y")
    assert table.judged.tolist() == [False, False, True, True]


def test_files_with_their_columns_in_another_order_meet_by_name() -> None:
    table = read_table([upload("a,b,y\n1,2,x\n")], [upload("y,b,a\nz,20,10\n")], "y")
    assert table.numbers.tolist() == [[1.0, 2.0], [10.0, 20.0]]


def test_empty_cells_are_missing_numbers_and_empty_texts() -> None:
    table = read_table([], [upload("a,b,y\n,red,x\n2,,z\n")], "y")
    assert np.isnan(table.numbers[0, 0])
    assert table.texts.tolist() == [["red"], [""]]


def test_a_newline_inside_quotes_does_not_end_a_row() -> None:
    table = read_table([], [upload('a,y\n"one\nline",x\n"two, lines",z\n')], "y")
    assert table.texts.tolist() == [["one\nline"], ["two, lines"]]


def test_a_byte_order_mark_and_crlf_are_not_part_of_the_data() -> None:
    table = read_table([], [Upload("rows.csv", "\ufeffa,y\r\n1,x\r\n2,z\r\n".encode())], "y")
    assert table.features == (Feature("a", "number"),)
    assert table.target.tolist() == ["x", "z"]


@pytest.mark.parametrize("cell", ["1_000", "inf", "NaN", " "])
def test_what_is_no_finite_number_to_everybody_is_a_text(cell: str) -> None:
    assert read_table([], [upload(f"a,y\n{cell},x\n2,z\n")], "y").features == (Feature("a", "text"),)


def test_an_absent_target_column_is_named() -> None:
    assert reasons_of(upload("a,b\n1,x\n")) == ("rows.csv: there is no target column 'y'",)


def test_a_file_with_other_columns_names_what_is_missing_and_what_is_new() -> None:
    found = reasons_of(upload("a,b,y\n1,2,x\n", "one.csv"), upload("a,c,y\n1,2,x\n", "two.csv"))
    assert found == ("two.csv: other columns than one.csv (missing: b; new: c)",)


def test_several_things_wrong_are_all_named() -> None:
    assert len(reasons_of(upload("a,a\n1,2\n"))) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,y\n\xff\xfe,x\n", "row 1 cannot be read"),
        (b'a,y\n"open,x\n', "unclosed-quote"),
        (b"", "empty-file"),
        (b"a,y\n1\n", "row 1 cannot be read"),
        (b"y\nx\nz\n", "0 features"),
        (b"a,y\n1e300,x\n1,z\n", "too big for 32 bits"),
    ],
)
def test_what_cannot_be_a_table_has_a_reason(content: bytes, reason: str) -> None:
    found = reasons_of(Upload("rows.csv", content))
    assert any(reason in one for one in found), found


def test_a_column_of_identifiers_is_named() -> None:
    rows = "".join(f"id{number},{number % 2}\n" for number in range(MAX_TEXTS_PER_COLUMN + 1))
    assert reasons_of(upload(f"a,y\n{rows}"))[0].startswith("column 'a' holds")


def test_ten_thousand_columns_have_a_reason() -> None:
    names = ",".join(f"c{number}" for number in range(10_000))
    assert "10000 features" in reasons_of(upload(f"{names},y\n"))[0]


def test_the_digests_tell_the_judged_files_from_all() -> None:
    one, two = upload("a,y\n1,x\n2,z\n"), upload("a,y\n3,x\n4,z\n")
    both, new = read_table([one], [two], "y"), read_table([], [two], "y")
    assert both.judged_sha256 == new.judged_sha256
    assert both.trained_sha256 != new.trained_sha256


def test_a_schema_makes_a_column_of_digits_a_text() -> None:
    table = read_table([], [upload("a,y\n1,x\n2,z\n")], "y", schema={"a": "text", "y": "text"})
    assert table.features == (Feature("a", "text"),)


def test_texts_where_the_schema_says_numbers_are_named() -> None:
    with pytest.raises(BadData, match="column 'a' holds texts, its schema says numbers"):
        read_table([], [upload("a,y\nred,x\n2,z\n")], "y", schema={"a": "number"})


def test_cells_may_be_separated_by_something_else() -> None:
    assert read_table([], [upload("a;y\n1;x\n2;z\n")], "y", Dialect(";")).features == (Feature("a", "number"),)


def in_every_format() -> list[Upload]:
    rows = [{"a": 1, "b": "red", "y": "x"}, {"a": None, "b": "blue", "y": "z"}, {"a": 2.5, "b": None, "y": "x"}]
    text = b"a,b,y\n1,red,x\n,blue,z\n2.5,,x\n"
    packed = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), packed)
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return [
        Upload("rows.csv", text),
        Upload("rows.csv.gz", gzip.compress(text[:10]) + gzip.compress(text[10:])),
        Upload("rows.jsonl", lines),
        Upload("rows.jsonl.gz", gzip.compress(lines)),
        Upload("rows.parquet", packed.getvalue()),
    ]


@pytest.mark.parametrize("one", in_every_format(), ids=lambda one: one.name)
def test_the_same_rows_in_every_format_are_the_same_table(one: Upload) -> None:
    table = read_table([], [one], "y", schema={"a": "number", "b": "text", "y": "text"})
    assert np.array_equal(table.numbers, np.array([[1], [np.nan], [2.5]], np.float32), equal_nan=True)
    assert (table.texts.tolist(), table.target.tolist()) == ([["red"], ["blue"], [""]], ["x", "z", "x"])


def test_rows_that_intake_set_aside_are_left_out() -> None:
    text = b"a,y\n1,x\nred,z\n2\n3,z\n"
    table = read_table([], [Upload("rows.csv", text, frozenset({2, 3}))], "y", schema={"a": "number", "y": "text"})
    assert (table.numbers.tolist(), table.target.tolist()) == ([[1.0], [3.0]], ["x", "z"])


def test_with_a_schema_new_columns_do_not_count_and_missing_ones_are_missing_values() -> None:
    files = [upload("a,y,new\n1,x,7\n"), upload("y,b\nz,red\n")]
    table = read_table([], files, "y", schema={"a": "number", "b": "text", "y": "text"})
    assert table.features == (Feature("a", "number"), Feature("b", "text"))
    assert np.array_equal(table.numbers, np.array([[1], [np.nan]], np.float32), equal_nan=True)
    assert table.texts.tolist() == [[""], ["red"]]


def test_ignored_columns_are_no_features_but_can_be_looked_at() -> None:
    table = read_table([], [upload("a,b,y\n1,red,x\n2,blue,z\n")], "y", ignored=["b"], looked_at=["b"])
    assert table.features == (Feature("a", "number"),)
    assert table.looked_at["b"].tolist() == ["red", "blue"]


@pytest.mark.parametrize(("named", "reason"), [({"ignored": ["c"]}, "column 'c'"), ({"ignored": ["a"]}, "no feature")])
def test_settings_that_name_no_column_or_leave_none_have_a_reason(named: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(Untrainable, match=reason):
        read_table([], [upload("a,y\n1,x\n2,z\n")], "y", **named)
