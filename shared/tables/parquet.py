"""Parquet by its footer: the count, the kinds and what the statistics prove, without reading the rows.

Whatever a rule needs beyond that is read column by column, in batches. pyarrow is imported only here, and only now.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from shared.tables.cells import MAX_BATCH_CELLS, MAX_COLUMNS, Batch, Kind, Unreadable, as_cell

if TYPE_CHECKING:
    import pyarrow.parquet

MAX_FOOTER_BYTES = 32 << 20  # 10,000 columns in a hundred row groups; more is meant to fill the memory
_TAIL_BYTES = 8


@dataclass(frozen=True)
class Proven:
    """What the statistics of all row groups together say of one column; None where they do not say it."""

    nulls: int | None
    smallest: Any = None
    largest: Any = None


class ParquetRows:
    """One Parquet file, read where it must be."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        _check_footer(file, size)
        import pyarrow
        import pyarrow.parquet

        try:
            self._file: pyarrow.parquet.ParquetFile = pyarrow.parquet.ParquetFile(
                file, buffer_size=1 << 20, pre_buffer=False, memory_map=False
            )
            self.schema = self._file.schema_arrow
        except (pyarrow.ArrowException, OSError) as error:
            raise Unreadable("not-parquet", "the footer cannot be read") from error
        if len(self.schema) > MAX_COLUMNS:
            raise Unreadable("too-many-columns", f"{len(self.schema)} columns, at most {MAX_COLUMNS}")

    @property
    def rows(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def unpacked_bytes(self) -> int:
        """What the row groups say they unpack to."""
        known = self._file.metadata
        return sum(int(known.row_group(group).total_byte_size) for group in range(known.num_row_groups))

    def kinds(self) -> Mapping[str, Kind | None]:
        """The kind of each column; None for what is no cell: lists, structs, bytes."""
        return {field.name: _kind(field.type) for field in self.schema}

    @property
    def names(self) -> list[str]:
        return list(self.schema.names)

    def proven(self, name: str) -> Proven:
        """What the footer proves of a column."""
        known = self._file.metadata
        at = next((i for i in range(known.num_columns) if known.schema.column(i).path == name), None)
        if at is None:
            return Proven(None)
        found = [known.row_group(group).column(at).statistics for group in range(known.num_row_groups)]
        if any(each is None or not each.has_null_count for each in found):
            return Proven(None)
        nulls = sum(int(each.null_count) for each in found)
        filled = [each for each in found if each.num_values]
        if any(not each.has_min_max for each in filled):
            return Proven(nulls)
        smallest = min((each.min for each in filled), default=None)
        return Proven(nulls, smallest, max((each.max for each in filled), default=None))

    def may_be_nan(self, name: str) -> bool:
        """Whether the column's type knows NaN."""
        from pyarrow import types

        return bool(types.is_floating(self.schema.field(name).type))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """The rows, of these columns only; raises Unreadable where the file is damaged."""
        import pyarrow

        try:
            most = max(1, MAX_BATCH_CELLS // max(1, len(names)))
            for part in self._file.iter_batches(batch_size=most, columns=list(names), use_threads=False):
                columns = [[as_cell(value) for value in part.column(name).to_pylist()] for name in names]
                yield Batch(names, list(zip(*columns, strict=True)))
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise Unreadable("damaged-parquet", "the pages of a column cannot be read") from error


def _check_footer(file: BinaryIO, size: int) -> None:
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    if size < 3 * 4 or len(tail) < _TAIL_BYTES or tail[4:] != b"PAR1":
        raise Unreadable("truncated-parquet", "the file does not end as Parquet does")
    (length,) = struct.unpack("<I", tail[:4])
    if length > min(MAX_FOOTER_BYTES, size - _TAIL_BYTES):
        raise Unreadable("not-parquet", "the footer is longer than it may be")
    file.seek(0)


def _kind(kind: Any) -> Kind | None:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    texts = (types.is_string, types.is_large_string, types.is_boolean, types.is_temporal, types.is_null)
    return "text" if any(is_one(kind) for is_one in texts) else None
