"""Gzip as people concatenate it: every member is read, in pieces of bounded size, whatever the file unpacks to."""

import zlib
from collections.abc import Iterable, Iterator

from shared.tables.cells import Unreadable

PIECE_BYTES = 4 << 20
MAX_RATIO = 500  # deflate ends at 1,032; rows that pack better than this hold nothing to learn from
_RATIO_FROM_BYTES = 64 << 20
_WITH_HEADER = 31


def unpacked(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """The bytes of all members in pieces of at most 4 MiB; Unreadable if damaged, cut short, or more than allowed."""
    member, taken, given = zlib.decompressobj(_WITH_HEADER), 0, 0
    begun = False
    for chunk in chunks:
        taken += len(chunk)
        while chunk:
            if not begun and not chunk.strip(b"\0"):  # tapes and block devices pad with zeros
                break
            begun = True
            piece = _inflated(member, chunk)
            given += len(piece)
            _limit(given, taken, max_bytes)
            if piece:
                yield piece
            chunk = member.unconsumed_tail or member.unused_data
            if member.eof:
                member, begun = zlib.decompressobj(_WITH_HEADER), False
    if begun:
        raise Unreadable("truncated-gzip", "the file ends within a gzip member")


def _inflated(member: "zlib._Decompress", chunk: bytes) -> bytes:
    try:
        return member.decompress(chunk, PIECE_BYTES)
    except zlib.error as error:
        raise Unreadable("damaged-gzip", "the file is damaged, or something else follows its gzip members") from error


def _limit(given: int, taken: int, max_bytes: int) -> None:
    if given > max_bytes:
        raise Unreadable("too-large", f"it unpacks to more than {max_bytes} bytes")
    if given > _RATIO_FROM_BYTES and given > MAX_RATIO * taken:
        raise Unreadable("gzip-bomb", f"it unpacks to more than {MAX_RATIO} times its size")
