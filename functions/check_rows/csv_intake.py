"""A CSV file into an account, as it streams by: stretches that are provably good are counted, all others looked at.

chunks ─► buffer ─► scanned ─┬ ordinary ─► proven good ─► counted
                             │                └ not ──┐
                             └ anything else ─────────┴─► read record by record ─► looked at
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from row_account import Account

from shared.tables.cells import MAX_RECORD_BYTES, Unreadable
from shared.tables.csv_text import Piece, batches
from shared.tables.forms import BOM, Dialect

if TYPE_CHECKING:
    from csv_proof import Proof

_PIECE_BYTES = 1 << 20  # a shorter file is looked at sooner than the libraries are loaded that prove
_SLICE_BYTES = 1 << 18  # what is looked at because of a single bad row
_Part = tuple[bytes, int, int]
"""Complete records: their text, how many they are, and the bytes that the longest has at most."""


class CsvIntake:
    """Reads one CSV file into an account."""

    def __init__(self, account: Account, dialect: Dialect, piece_bytes: int = _PIECE_BYTES) -> None:
        self._account = account
        self._dialect = dialect
        self._piece_bytes = piece_bytes
        self._header: list[str] | None = None
        self._known: tuple[object, Proof] | None = None
        self._under_way: tuple[_Part, Future[frozenset[int] | None]] | None = None

    def read(self, chunks: Iterable[bytes]) -> None:
        """Reads to the end, or until the account gives up; raises Unreadable where no record can be told any more."""
        with ThreadPoolExecutor(1) as self._worker:
            rest, enough = b"", 0
            for buffer, final in _gathered(chunks, self._piece_bytes):
                text = rest + buffer
                taken = self._take(text, final) if final or len(text) >= enough else 0
                rest, enough = text[taken:], 0 if taken else min(2 * len(text), MAX_RECORD_BYTES)
                if not self._account.readable():
                    return
                if len(rest) > MAX_RECORD_BYTES:
                    raise Unreadable("record-too-long", f"holds a record of more than {MAX_RECORD_BYTES} bytes")

    def _take(self, text: bytes, final: bool) -> int:
        """Takes the complete records from the beginning of the text; answers how many bytes they were."""
        taken = self._open(text, final) if self._header is None else 0
        if self._header is None:
            return taken
        reach = len(text)
        while self._account.readable() and self._may_prove(len(text) - taken):
            some = self._prove(text[taken : taken + reach])
            if not some and reach > _SLICE_BYTES:  # little is to be looked at, so the ordinary around it is cut off
                reach = _SLICE_BYTES
                continue
            some = some or self._look(text[taken : taken + reach], final=False)
            taken += some
            if not some:
                break
        if self._account.readable() and (final or not taken):
            taken += self._look(text[taken:], final)
        return taken

    def _may_prove(self, size: int) -> bool:
        least = self._piece_bytes if self._known is None else min(self._piece_bytes, _SLICE_BYTES)
        return size >= least and not self._account.looks_at_every_row

    def _open(self, buffer: bytes, final: bool) -> int:
        """Takes the first record, which names the columns; answers how many bytes it was."""
        piece = Piece(buffer, self._dialect, final)
        self._header = piece.header()
        if self._header is not None:
            self._account.open(self._header)
        return piece.consumed

    def _prove(self, text: bytes) -> int:
        """Has the complete records proven while the next are fetched; answers their bytes, 0 if none can be."""
        from csv_scan import scan

        found = scan(text, self._dialect, len(self._header or ()))
        if found is None:
            return 0
        self._settle()
        part = text[: found.end], found.records, found.longest
        self._under_way = part, self._worker.submit(self._proof().holds, *part)
        return found.end

    def _settle(self) -> None:
        """Counts what was under way, if it was proven; else looks at those slices of it that cannot be."""
        if self._under_way is None:
            return
        part, proven = self._under_way
        self._under_way = None
        if self._count(part, proven.result()):
            return
        for slice_ in _sliced(part[0], self._dialect, len(self._header or ())):
            if not self._count(slice_, self._proof().holds(*slice_)):
                self._read_exactly(slice_[0], final=True)

    def _count(self, part: _Part, numbers: frozenset[int] | None) -> bool:
        if numbers is not None:
            header = self._header or []
            self._account.proven(part[1], (header[place] for place in numbers))
        return numbers is not None

    def _proof(self) -> Proof:
        """The proof of the rules as they are now: a first upload's columns may turn out to be texts."""
        from csv_proof import Proof

        rules = [self._account.rule(name) for name in self._header or ()]
        if self._known is None or self._known[0] != rules:
            self._known = rules, Proof(rules, self._dialect)
        return self._known[1]

    def _look(self, text: bytes, final: bool) -> int:
        self._settle()
        return self._read_exactly(text, final)

    def _read_exactly(self, text: bytes, final: bool) -> int:
        piece = Piece(text, self._dialect, final)
        for batch in batches(self._header or [], piece.records()):
            self._account.look(batch)
            if not self._account.readable():
                break
        return piece.consumed


def _gathered(chunks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The text without its byte-order mark in buffers of at least this size, but for the last, which may be empty."""
    buffer, begun = b"", False
    for chunk in chunks:
        buffer += chunk
        if len(buffer) >= max(size, len(BOM)):
            yield buffer if begun else buffer.removeprefix(BOM), False
            buffer, begun = b"", True
    yield buffer if begun else buffer.removeprefix(BOM), True


def _sliced(text: bytes, dialect: Dialect, width: int) -> Iterator[_Part]:
    """The text in slices of complete records."""
    from csv_scan import scan

    start, reach = 0, _SLICE_BYTES
    while start < len(text):
        found = scan(text[start : start + reach], dialect, width)
        if found is None:  # not one record ends within reach
            reach *= 2
            continue
        yield text[start : start + found.end], found.records, found.longest
        start, reach = start + found.end, _SLICE_BYTES
