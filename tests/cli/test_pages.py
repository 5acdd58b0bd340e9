"""The pages that are made from the code are current, and what they say is true."""

import json
import tomllib
from typing import Any

import pytest
import yaml

from cli.pages.__main__ import pages
from cli.pages.events import EXAMPLES, asyncapi
from cli.pages.settings import page
from shared.envelope import from_json
from shared.events import CATALOGUE, Event
from shared.settings import Settings


def test_every_page_is_current() -> None:
    assert {path.name: path.read_text() == content for path, content in pages().items()} == {
        "settings.md": True,
        "asyncapi.yaml": True,
        "deploying.md": True,
        "permissions.md": True,
        "README.md": True,
    }


@pytest.mark.parametrize("event", CATALOGUE, ids=lambda event: event.topic)
def test_every_event_has_an_example_that_is_one(event: type[Event]) -> None:
    kept = from_json(json.loads((EXAMPLES / f"{event.topic}.json").read_text()))
    assert type(kept.payload) is event


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load(asyncapi())
    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for each in node for found in references(each)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for each in node.values() for found in references(each)]


def test_every_key_is_there_with_a_meaning_and_a_default_that_a_file_may_hold() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert all(len(row) == 3 and row[2].strip(" |") for row in rows)
    assert [row[0].strip("| `") for row in rows if row[1] == "needed"] == ["target"]
    defaults = [row[1].strip("`") for row in rows if row[1] not in ("needed", "not set")]
    for default in defaults:
        tomllib.loads(f"key = {default}")


def test_a_file_with_all_defaults_written_out_means_the_same_as_one_without_them() -> None:
    lines, section = [], ""
    for line in page().splitlines():
        if line.startswith("## `["):
            section = line.strip("# `").replace("<name>", "size")
            lines.append(section)
        elif line.startswith("| `"):
            name, default, _ = line.strip("| ").split(" | ")
            if default == "not set":
                continue
            value = default.strip("`") if default != "needed" else '"species"'
            lines.append(f"{name.strip('`')} = {value}")
    written = Settings.model_validate(tomllib.loads("\n".join(lines)))
    assert written == Settings.model_validate({"data": {"target": "species", "columns": {"size": {}}}})
