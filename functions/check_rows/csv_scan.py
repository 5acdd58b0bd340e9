"""Where the records of a CSV text end, found sixty-four bytes at a time, if all quotes are where they belong.

Each kind of byte becomes a mask with one bit per byte. A prefix sum of the quotes' bits, modulo two, says which bytes
are inside quotes; what remains is to see that every quote opens or closes a cell, and to count.
(After Langdale and Lemire, Parsing gigabytes of JSON per second, 2019.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.tables.forms import Dialect

_BLOCK_BYTES = 1 << 18  # stays in a core's cache
_SHIFTS = tuple(np.uint64(1 << power) for power in range(6))
_ONE, _TOP = np.uint64(1), np.uint64(63)
_Mask = NDArray[np.uint64]


@dataclass(frozen=True)
class Scan:
    """Complete records: `end` is behind the last one, `records` how many, `longest` the bytes of the longest."""

    end: int
    records: int
    longest: int


def scan(text: bytes, dialect: Dialect, width: int) -> Scan | None:
    """The complete records of a text that begins with one, if all are `width` cells wide and none is odd.

    None if there is a blank line, a stray quote, a lone carriage return or a record of another width, or no end of one:
    then only a reader of single records can tell what the text means.
    """
    quoted, returns = dialect.quote.encode() in text, b"\r" in text
    line_ends, delimiters = _mask(text, b"\n"), _mask(text, dialect.delimiter.encode())
    quotes = _mask(text, dialect.quote.encode()) if quoted else None
    inside = _inside(quotes) if quotes is not None else None
    ends = line_ends if inside is None else line_ends & ~inside
    places = np.flatnonzero(np.unpackbits(ends.view(np.uint8), bitorder="little"))
    if not places.size:
        return None
    end = int(places[-1]) + 1
    marks = line_ends | delimiters
    carriage = _mask(text, b"\r") if returns else None
    if quotes is not None and inside is not None and not _in_place(quotes, inside, marks, carriage, end):
        return None
    outside = np.uint64(0xFFFF_FFFF_FFFF_FFFF) if inside is None else ~inside
    if carriage is not None and _before(carriage & outside & ~_earlier(line_ends), end).any():
        return None
    longest = int(np.diff(places, prepend=-1).max())
    blank = np.diff(places, prepend=-1).min() <= (2 if returns else 1)
    return None if blank or not _is_wide(places, delimiters & outside, width) else Scan(end, places.size, longest)


def _mask(text: bytes, byte: bytes) -> _Mask:
    """One bit per byte of the text, set where it is this one."""
    content, mark = np.frombuffer(text, np.uint8), byte[0]
    bits = np.zeros((len(text) + 63) // 64 * 8, np.uint8)
    for start in range(0, len(text), _BLOCK_BYTES):
        packed = np.packbits(content[start : start + _BLOCK_BYTES] == mark, bitorder="little")
        bits[start // 8 : start // 8 + packed.size] = packed
    return bits.view(np.uint64)


def _inside(quotes: _Mask) -> _Mask:
    """Set from each opening quote to the byte before its closing one."""
    inside = quotes.copy()
    for shift in _SHIFTS:
        inside ^= inside << shift
    odd = (np.bitwise_count(quotes) & 1).astype(np.uint64)
    carried = np.cumsum(odd) - odd & _ONE
    inside ^= np.uint64(0) - carried
    return inside


def _in_place(quotes: _Mask, inside: _Mask, marks: _Mask, carriage: _Mask | None, end: int) -> bool:
    """Whether each quote opens a cell at its beginning, closes one at its end, or is one of a pair within."""
    before = _later(marks | quotes)
    before[0] |= _ONE  # the text begins with a cell
    after = _earlier(marks | quotes if carriage is None else marks | quotes | carriage)
    opening, closing = quotes & inside, quotes & ~inside
    return not _before((opening & ~before) | (closing & ~after), end).any()


def _later(mask: _Mask) -> _Mask:
    """Every bit moved to the next byte."""
    moved = mask << _ONE
    moved[1:] |= mask[:-1] >> _TOP
    return moved


def _earlier(mask: _Mask) -> _Mask:
    """Every bit moved to the byte before."""
    moved = mask >> _ONE
    moved[:-1] |= mask[1:] << _TOP
    return moved


def _before(mask: _Mask, end: int) -> _Mask:
    """The bits of the bytes before `end`."""
    cut = mask[: end // 64 + 1].copy()
    if end // 64 < cut.size:
        cut[end // 64] &= (_ONE << np.uint64(end % 64)) - _ONE
    return cut


def _is_wide(places: NDArray[np.intp], delimiters: _Mask, width: int) -> bool:
    """Whether every record that ends at these places has one delimiter less than it has cells."""
    counts = np.bitwise_count(delimiters)
    before = np.cumsum(counts, dtype=np.int64) - counts
    words = places >> 6
    below = (_ONE << (places & 63).astype(np.uint64)) - _ONE
    seen = before[words] + np.bitwise_count(delimiters[words] & below)
    return bool((seen == np.arange(1, places.size + 1) * (width - 1)).all())
