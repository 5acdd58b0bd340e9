"""Files as check_rows reads them, without a bucket's ceremony around them."""

from collections.abc import Mapping
from typing import Any

from row_account import Reading
from row_reader import read
from row_rules import rules_of

from shared.settings import DataSettings
from shared.tables.forms import Dialect
from shared.tables.source import UploadSource
from tests.world.cloud import MemoryCloud

SCHEMA = {"size": "number", "kind": "text", "y": "text"}


def reading(
    body: bytes,
    name: str = "data/m/a.csv",
    schema: Mapping[str, Any] | None = SCHEMA,
    cloud: MemoryCloud | None = None,
    **settings: Any,
) -> Reading:
    """What check_rows reads in a file, by these settings of `[data]`."""
    wanted = DataSettings.model_validate({"target": "y", **settings})
    world = cloud or MemoryCloud()
    source = UploadSource(world.data, world.data.put(name, body))
    return read(source, name, rules_of(wanted, schema), Dialect(wanted.delimiter, wanted.quote))


def codes(found: Reading) -> list[str]:
    """The problems' codes with their columns, in the order in which they are told."""
    return [f"{problem.code} {problem.column}".rstrip() for problem in found.problems]
