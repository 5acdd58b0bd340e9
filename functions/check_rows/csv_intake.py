"""A CSV file into an account, as it streams by: stretches that are provably good are counted, all others looked at.

chunks ─► buffer ─► scanned ─┬ ordinary ─► proven good ─► counted
                             │                └ not ──┐
                             └ anything else ─────────┴─► read record by record ─► looked at
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from row_account import Account

from shared.tables.cells import MAX_RECORD_BYTES, Unreadable
from shared.tables.csv_text import Piece, batches
from shared.tables.forms import BOM, Dialect

if TYPE_CHECKING:
    from csv_proof import Proof

_PROVE_FROM_BYTES = 1 << 20  # a smaller file is looked at sooner than the libraries are loaded that prove
_SLICE_BYTES = 1 << 18  # what is looked at because of a single bad row


class CsvIntake:
    """Reads one CSV file into an account."""

    def __init__(self, account: Account, dialect: Dialect, prove_from_bytes: int = _PROVE_FROM_BYTES) -> None:
        self._account = account
        self._dialect = dialect
        self._prove_from_bytes = prove_from_bytes
        self._header: list[str] | None = None
        self._proof: tuple[object, Proof] | None = None

    def read(self, chunks: Iterable[bytes]) -> None:
        """Reads to the end, or until the account gives up; raises Unreadable where no record can be told any more."""
        buffer, begun = b"", False
        for chunk in chunks:
            buffer += chunk
            if not begun and len(buffer) < len(BOM):
                continue
            if not begun:
                buffer, begun = buffer.removeprefix(BOM), True
            buffer = buffer[self._take(buffer, final=False) :]
            if not self._account.readable():
                return
            if len(buffer) > MAX_RECORD_BYTES:
                raise Unreadable("record-too-long", f"holds a record of more than {MAX_RECORD_BYTES} bytes")
        self._take(buffer if begun else buffer.removeprefix(BOM), final=True)

    def _take(self, buffer: bytes, final: bool) -> int:
        """Takes the complete records from the beginning of the buffer; answers how many bytes they were."""
        taken = self._open(buffer, final) if self._header is None else 0
        if self._header is None or not self._account.readable():
            return taken
        proven = 0
        if len(buffer) - taken >= self._prove_from_bytes and not self._account.looks_at_every_row:
            proven = self._prove(buffer[taken:])
        if final or not proven:
            return taken + proven + self._look(buffer[taken + proven :], final)
        return taken + proven

    def _open(self, buffer: bytes, final: bool) -> int:
        """Takes the first record, which names the columns; answers how many bytes it was."""
        piece = Piece(buffer, self._dialect, final)
        self._header = piece.header()
        if self._header is not None:
            self._account.open(self._header)
        return piece.consumed

    def _prove(self, text: bytes) -> int:
        """Counts the good stretch at the beginning of the text; answers its bytes, 0 if nothing can be proven of it."""
        from csv_scan import scan

        assert self._header is not None
        found = scan(text, self._dialect, len(self._header))
        if found is None:
            return 0
        self._weigh(text[: found.end], found.records, found.longest)
        return found.end

    def _weigh(self, text: bytes, records: int, longest: int) -> None:
        """Counts records that are complete and of the right width; looks only at slices that hold something bad."""
        if self._is_proven(text, records, longest):
            return
        for part in _sliced(text, self._dialect, len(self._header or ())) if len(text) > _SLICE_BYTES else ():
            if not self._is_proven(*part):
                self._look(part[0], final=True)
        if len(text) <= _SLICE_BYTES:
            self._look(text, final=True)

    def _is_proven(self, text: bytes, records: int, longest: int) -> bool:
        from csv_proof import provable

        if not provable(text, longest):
            return False
        proof = self._current_proof()
        numbers = proof.holds(text, records)
        if numbers is None:
            return False
        header = self._header or []
        self._account.proven(records, (header[place] for place in numbers))
        return True

    def _current_proof(self) -> Proof:
        """The proof of the rules as they are now: a first upload's columns may turn out to be texts."""
        from csv_proof import Proof

        rules = [self._account.rule(name) for name in self._header or ()]
        if self._proof is None or self._proof[0] != rules:
            self._proof = rules, Proof(rules, self._dialect)
        return self._proof[1]

    def _look(self, text: bytes, final: bool) -> int:
        piece = Piece(text, self._dialect, final)
        for batch in batches(self._header or [], piece.records()):
            self._account.look(batch)
            if not self._account.readable():
                break
        return piece.consumed


def _sliced(text: bytes, dialect: Dialect, width: int) -> Iterator[tuple[bytes, int, int]]:
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
