"""The page about the settings says what the settings are."""

import tomllib
from pathlib import Path

from cli.settings_page import page
from shared.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page()


def test_every_key_is_there_with_a_meaning_and_a_default_that_a_file_may_hold() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert all(len(row) == 3 and row[2].strip(" |") for row in rows)
    defaults = [row[1].strip("`") for row in rows if row[1] != "needed"]
    assert len(defaults) == len(rows) - 1
    for default in defaults:
        tomllib.loads(f"key = {default}")


def test_a_file_with_all_defaults_written_out_means_the_same_as_one_without_them() -> None:
    lines, section = [], ""
    for line in page().splitlines():
        if line.startswith("## `["):
            section = line.strip("# `")
            lines.append(section)
        elif line.startswith("| `"):
            name, default, _ = line.strip("| ").split(" | ")
            value = default.strip("`") if default != "needed" else '"species"'
            lines.append(f"{name.strip('`')} = {value}")
    written = Settings.model_validate(tomllib.loads("\n".join(lines)))
    assert written == Settings.model_validate({"data": {"target": "species"}})
