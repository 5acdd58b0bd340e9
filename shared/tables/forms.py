"""How a file is to be read: from its first bytes and its name, so that intake and training cannot disagree.

Gzip and Parquet say what they are in their first bytes; JSON Lines and CSV are told apart by the name.
"""

from dataclasses import dataclass
from typing import Literal

from shared.tables.cells import Unreadable

HEAD_BYTES = 4
BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")


@dataclass(frozen=True)
class Dialect:
    """How a CSV file marks its cells."""

    delimiter: str = ","
    quote: str = '"'


CSV = Dialect()


@dataclass(frozen=True)
class Form:
    """What kind of file it is, and whether it is packed with gzip."""

    kind: Literal["csv", "json-lines", "parquet"]
    gzip: bool = False


def form_of(name: str, head: bytes) -> Form:
    """The form of a file by its name and its first four bytes; Unreadable when the two contradict each other."""
    lower = name.lower()
    gzip, parquet = head.startswith(_GZIP), head.startswith(_PARQUET)
    if lower.endswith(".parquet") and not parquet:
        raise Unreadable("wrong-format", "named .parquet, but its first bytes are not Parquet's")
    if lower.endswith(".gz") and not gzip:
        raise Unreadable("wrong-format", "named .gz, but its first bytes are not gzip's")
    if head.startswith(_WIDE):
        raise Unreadable("not-utf-8", "the file begins as UTF-16 does; only UTF-8 is read")
    if parquet:
        return Form("parquet")
    return Form("json-lines" if lower.removesuffix(".gz").endswith(_JSON_SUFFIXES) else "csv", gzip)
