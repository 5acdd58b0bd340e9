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

_BLOCK_BYTES = 1 << 17  # stays in a core's cache
_SHIFTS = tuple(np.uint64(1 << power) for power in range(6))
_ONE, _TOP = np.uint64(1), np.uint64(63)
_Mask = NDArray[np.uint64]


@dataclass(frozen=True)
class Scan:
    """Complete records: `end` is behind the last one, `records` how many; none is longer than `longest` bytes."""

    end: int
    records: int
    longest: int


def counted(text: bytes, dialect: Dialect, start: int, stop: int) -> Scan | None:
    """The complete records of a part of a text that begins with one, on condition that quotes are where they belong.

    None if no record ends there. That condition is not looked at: what comes out is worth nothing until somebody has.
    """
    part, quote = memoryview(text)[start:stop], dialect.quote.encode()
    ends = _mask(part, b"\n")
    if text.find(quote, start, stop) >= 0:
        ends &= ~_inside(_mask(part, quote))
    return _told(ends, np.flatnonzero(ends))


def scan(text: bytes, dialect: Dialect, width: int) -> Scan | None:
    """The complete records of a text that begins with one, if all are `width` cells wide and none is odd.

    None if there is a blank line, a stray quote, a lone carriage return or a record of another width, or no end of one:
    then only a reader of single records can tell what the text means.
    """
    quote, delimiter = dialect.quote.encode(), dialect.delimiter.encode()
    line_ends, delimiters = _mask(text, b"\n"), _mask(text, delimiter)
    returns = _mask(text, b"\r") if b"\r" in text else None
    ends = line_ends
    if quote in text:
        quotes = _mask(text, quote)
        inside = _inside(quotes)
        ends, outside = line_ends & ~inside, delimiters & ~inside
        odd = _out_of_place(quotes, inside, line_ends | delimiters, returns)
        delimiters, returns = outside, None if returns is None else returns & ~inside
    else:
        odd = np.zeros_like(ends)
    words = np.flatnonzero(ends)
    found = _told(ends, words)
    if found is None:
        return None
    odd |= _blank(ends, returns)
    if returns is not None:
        odd |= returns & ~_earlier(line_ends)
    if _before(odd, found.end).any() or not _is_wide(ends, words, delimiters, width):
        return None
    return found


def _told(ends: _Mask, words: NDArray[np.intp]) -> Scan | None:
    """`words` are the places in `ends` that are not zero."""
    if not words.size:
        return None
    end = 64 * int(words[-1]) + int(ends[words[-1]]).bit_length()
    longest = 64 * (int(np.diff(words, prepend=0).max()) + 1)
    return Scan(end, int(np.bitwise_count(ends).sum()), longest)


def _mask(text: bytes | memoryview, byte: bytes) -> _Mask:
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


def _out_of_place(quotes: _Mask, inside: _Mask, marks: _Mask, returns: _Mask | None) -> _Mask:
    """The quotes that neither open a cell at its beginning, nor close one at its end, nor are one of a pair within."""
    beside = marks | quotes
    before = _later(beside)
    before[0] |= _ONE  # the text begins with a cell
    after = _earlier(beside if returns is None else beside | returns)
    return (quotes & inside & ~before) | (quotes & ~inside & ~after)


def _blank(ends: _Mask, returns: _Mask | None) -> _Mask:
    """The ends of records of no bytes, or of a carriage return alone."""
    begins = _later(ends)
    begins[0] |= _ONE
    return ends & (begins if returns is None else begins | _later(begins & returns))


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


def _is_wide(ends: _Mask, words: NDArray[np.intp], delimiters: _Mask, width: int) -> bool:
    """Whether every record has one delimiter less than it has cells; all words take a step at once, one end each."""
    delimiters_before, ends_before = _counted_before(delimiters), _counted_before(ends[words])
    left, within, seen, rank = ends[words], delimiters[words], delimiters_before[words], ends_before
    while left.size:
        rest = left & (left - _ONE)
        rank += 1
        if ((seen + np.bitwise_count(within & ((left ^ rest) - _ONE))) != rank * (width - 1)).any():
            return False
        more = np.flatnonzero(rest)
        left, within, seen, rank = rest[more], within[more], seen[more], rank[more]
    return True


def _counted_before(mask: _Mask) -> NDArray[np.int32]:
    """For each word how many bits are set in those before it."""
    counts = np.bitwise_count(mask)
    before = np.cumsum(counts, dtype=np.int32)
    before -= counts
    return before
