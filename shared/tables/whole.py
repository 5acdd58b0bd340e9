"""A whole file as one table of text cells, for whoever has it in memory: training, once intake has accepted it."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.tables.cells import Batch, Unreadable
from shared.tables.csv_text import Piece, batches
from shared.tables.forms import BOM, HEAD_BYTES, Dialect, form_of
from shared.tables.json_lines import JsonLines
from shared.tables.unpacking import unpacked


@dataclass(frozen=True)
class Sheet:
    """Every row of a file in the order of the file, the header apart; `troubled` are the places of unreadable rows."""

    names: tuple[str, ...]
    rows: list[Sequence[str]]
    troubled: frozenset[int]


def sheet(name: str, content: bytes, dialect: Dialect, max_bytes: int) -> Sheet:
    """The rows of a file, as intake counted them; raises Unreadable."""
    form = form_of(name, content[:HEAD_BYTES])
    if form.kind == "parquet":
        return _joined(_of_parquet(content))
    text = b"".join(unpacked([content], max_bytes)) if form.gzip else content
    text = text.removeprefix(BOM)
    return _joined(JsonLines().batches(text) if form.kind == "json-lines" else _of_csv(text, dialect))


def _of_csv(text: bytes, dialect: Dialect) -> Iterator[Batch]:
    records = Piece(text, dialect, final=True).records()
    header = next(records, None)
    if header is None:
        raise Unreadable("empty-file", "the file holds no header")
    yield Batch(header, ())
    yield from batches(header, records)


def _of_parquet(content: bytes) -> Iterator[Batch]:
    from shared.tables.parquet import ParquetRows

    rows = ParquetRows(io.BytesIO(content), len(content))
    yield Batch(rows.names, ())
    yield from rows.batches(rows.names)


def _joined(read: Iterator[Batch]) -> Sheet:
    names: tuple[str, ...] = ()
    rows: list[Sequence[str]] = []
    troubled: set[int] = set()
    for batch in read:
        names = tuple(batch.names)
        troubled.update(len(rows) + trouble.row for trouble in batch.troubles)
        rows += batch.rows
    width = len(names)  # JSON's names grow: the rows before them are filled up
    filled = [row if len(row) >= width or place in troubled else (*row, *[""] * (width - len(row)))
              for place, row in enumerate(rows)]  # fmt: skip
    return Sheet(names, filled, frozenset(troubled))
