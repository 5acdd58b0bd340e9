"""Bytes become one typed table, or every reason why not."""

import numpy as np
import pytest

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
        (b"a,y\n\xff\xfe,x\n", "not a CSV file in UTF-8"),
        (b'a,y\n"open,x\n', "not a CSV file in UTF-8"),
        (b"", "empty, without even a header"),
        (b"a,y\n1\n", "row 1 does not have 2 cells"),
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
    assert read_table([], [upload("a;y\n1;x\n2;z\n")], "y", ";").features == (Feature("a", "number"),)


def test_ignored_columns_are_no_features_but_can_be_looked_at() -> None:
    table = read_table([], [upload("a,b,y\n1,red,x\n2,blue,z\n")], "y", ignored=["b"], looked_at=["b"])
    assert table.features == (Feature("a", "number"),)
    assert table.looked_at["b"].tolist() == ["red", "blue"]


@pytest.mark.parametrize(("named", "reason"), [({"ignored": ["c"]}, "column 'c'"), ({"ignored": ["a"]}, "no feature")])
def test_settings_that_name_no_column_or_leave_none_have_a_reason(named: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(Untrainable, match=reason):
        read_table([], [upload("a,y\n1,x\n2,z\n")], "y", **named)
