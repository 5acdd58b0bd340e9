"""A file of rows as batches of text cells while it streams by, in bounded memory, read as intake reads it."""

from collections.abc import Iterable, Iterator

from shared.tables.cells import MAX_RECORD_BYTES, Batch, Unreadable
from shared.tables.csv_text import Piece, batches
from shared.tables.forms import BOM, HEAD_BYTES, Dialect, form_of
from shared.tables.json_lines import JsonLines
from shared.tables.source import UploadSource
from shared.tables.unpacking import unpacked


def streamed(source: UploadSource, name: str, dialect: Dialect, max_bytes: int) -> Iterator[Batch]:
    """Every row in the order of the file; where a format has a header, a batch of no rows tells it first.

    Raises Unreadable, Refused when the generation is gone, Transient when its bytes could not be had.
    """
    if source.size > max_bytes:
        raise Unreadable("too-large", f"is {source.size} bytes long, at most {max_bytes} are allowed")
    form = form_of(name, source.head[:HEAD_BYTES])
    if form.kind == "parquet":
        yield from _of_parquet(source, max_bytes)
        return
    chunks = unpacked(source.chunks(), max_bytes) if form.gzip else source.chunks()
    yield from _of_json(chunks) if form.kind == "json-lines" else _of_csv(chunks, dialect)


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text without its byte-order mark in pieces that end where a line does, but for the last, which may be empty.

    Raises Unreadable for a line that is longer than a record may be.
    """
    rest = b""
    for chunk in without_mark(chunks):
        rest += chunk
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
        if len(rest) > MAX_RECORD_BYTES:
            raise Unreadable("record-too-long", f"holds a line of more than {MAX_RECORD_BYTES} bytes")
    yield rest


def without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text without its byte-order mark."""
    beginning, begun = b"", False
    for chunk in chunks:
        if begun:
            yield chunk
            continue
        beginning += chunk
        if len(beginning) >= len(BOM):
            begun = True
            yield beginning.removeprefix(BOM)
    if not begun:
        yield beginning.removeprefix(BOM)


def _of_json(chunks: Iterable[bytes]) -> Iterator[Batch]:
    lines = JsonLines()
    for text in whole_lines(chunks):
        yield from lines.batches(text)


def _of_csv(chunks: Iterable[bytes], dialect: Dialect) -> Iterator[Batch]:
    header: list[str] | None = None
    rest, enough = b"", 0
    for chunk, final in _marked(without_mark(chunks)):
        rest += chunk
        if len(rest) < enough and not final:
            continue
        if header is None:
            piece = Piece(rest, dialect, final)
            header = piece.header()
            rest = rest[piece.consumed :]
            if header is not None:
                yield Batch(header, ())
        if header is not None:
            piece = Piece(rest, dialect, final)
            yield from batches(header, piece.records())
            rest = rest[piece.consumed :]
        enough = 2 * len(rest)  # a record that does not end is not read again for every chunk
        if len(rest) > MAX_RECORD_BYTES:
            raise Unreadable("record-too-long", f"holds a record of more than {MAX_RECORD_BYTES} bytes")
    if header is None:
        raise Unreadable("empty-file", "the file holds no header")


def _of_parquet(source: UploadSource, max_bytes: int) -> Iterator[Batch]:
    from shared.tables.parquet import ParquetRows

    rows = ParquetRows(source.file(), source.size)
    if rows.unpacked_bytes > max_bytes:
        raise Unreadable("too-large", f"unpacks to more than {max_bytes} bytes")
    yield Batch(rows.names, ())
    if len(set(rows.names)) == len(rows.names):  # else nobody could say which column is meant
        yield from rows.batches([name for name, kind in rows.kinds().items() if kind is not None])


def _marked(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk with whether it is the last, which is an empty one."""
    for chunk in chunks:
        yield chunk, False
    yield b"", True
