"""CSV read exactly, by Python's own reader: a record is not a line, and stray quotes mean what that reader says.

buffer ─► complete records … the last one is held back: more bytes may belong to it ─► the rest of the buffer
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence

from shared.tables.cells import MAX_BATCH_CELLS, MAX_RECORD_BYTES, Batch, Trouble, Unreadable
from shared.tables.forms import Dialect

MISREAD = re.compile("[\ud800-\udfff]")
"""Where bytes were no UTF-8, decoding has left a lone surrogate."""
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_Records = list[list[str]]


class Piece:
    """A part of a CSV file that begins at the beginning of a record.

    `records` gives what is complete, blank lines left out; after that `consumed` is how many bytes it took.
    """

    def __init__(self, buffer: bytes, dialect: Dialect, final: bool) -> None:
        self._text = buffer.decode("utf-8", "surrogateescape")
        self._dialect = dialect
        self._final = final
        self.consumed = 0

    def header(self) -> list[str] | None:
        """The first record, or None if its end is not in the buffer; then `consumed` is how many bytes it took."""
        for record, _, end in self._read():
            if record and (self._final or end < len(self._text)):
                self.consumed = self._bytes(end)
                return record
        return None

    def records(self) -> Iterator[list[str]]:
        """The records; raises Unreadable when the file ends within quotes."""
        held, held_at = None, 0
        for record, start, _ in self._read():
            if held:
                yield held
            held, held_at = record, start
        if self._final and held:
            if self._is_unclosed(self._text[held_at:]):
                raise Unreadable("unclosed-quote", "a quote is never closed; it may have been opened many rows before")
            yield held
        self.consumed = self._bytes(len(self._text) if self._final else held_at)

    def _read(self) -> Iterator[tuple[list[str], int, int]]:
        """Each record with where it starts and ends, the blank ones too."""
        csv.field_size_limit(MAX_RECORD_BYTES)
        read = start = 0

        def lines() -> Iterator[str]:
            nonlocal read
            for line in _LINE.finditer(self._text):
                read = line.end()
                if line[0]:
                    yield line[0]

        try:
            for record in csv.reader(lines(), delimiter=self._dialect.delimiter, quotechar=self._dialect.quote):
                yield record, start, read
                start = read
        except csv.Error as error:
            raise Unreadable("record-too-long", f"a cell is longer than {MAX_RECORD_BYTES} characters") from error

    def _bytes(self, end: int) -> int:
        return len(self._text[:end].encode("utf-8", "surrogateescape"))

    def _is_unclosed(self, text: str) -> bool:
        strict = csv.reader(
            io.StringIO(text, newline=""), delimiter=self._dialect.delimiter, quotechar=self._dialect.quote, strict=True
        )
        try:
            list(strict)
        except csv.Error as error:
            return "unexpected end" in str(error)
        return False


def batches(header: Sequence[str], records: Iterator[list[str]]) -> Iterator[Batch]:
    """The records in batches of bounded size; what is wrong with a record as such is said beside it."""
    most = max(1, MAX_BATCH_CELLS // max(1, len(header)))
    rows: _Records = []
    for record in records:
        rows.append(record)
        if len(rows) >= most:
            yield _batch(header, rows)
            rows = []
    if rows:
        yield _batch(header, rows)


def _batch(header: Sequence[str], rows: _Records) -> Batch:
    width = len(header)
    troubles = [Trouble(place, "wrong-width") for place, row in enumerate(rows) if len(row) != width]
    for place, row in enumerate(rows):
        joined = "".join(row)
        if not joined.isascii() and MISREAD.search(joined):
            troubles.append(Trouble(place, "not-utf-8"))
            rows[place] = [MISREAD.sub("\ufffd", cell) for cell in row]
    return Batch(header, rows, troubles)
