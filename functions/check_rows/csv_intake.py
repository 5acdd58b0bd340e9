"""A CSV file into an account, as it streams by: stretches that are provably good are counted, all others looked at.

chunks ─► text ─┬ matches the pattern of good records ────────────────────► counted
                └ not ─► slices ─┬ matches ───────────────────────────────► counted
                                 └ not ─► scanned ─┬ ordinary, proven good ► counted
                                                   └ not ─► read record by record ─► looked at
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from row_account import Account
from row_rules import ColumnRule

from shared.tables.cells import MAX_CELL_CHARACTERS, MAX_RECORD_BYTES, Unreadable
from shared.tables.csv_text import Piece, batches
from shared.tables.forms import Dialect
from shared.tables.streamed import without_mark

if TYPE_CHECKING:
    from csv_pattern import Pattern
    from csv_proof import Proof

_PIECE_BYTES = 1 << 20  # a shorter file is looked at sooner than the libraries are loaded that prove
_PIECES_AT_ONCE = 4  # for every stretch that is matched the pattern is compiled anew
_FIRST_LOOK = 16  # the part of a piece that is looked at to see which columns hold numbers
_SLICE_BYTES = 1 << 18  # what is looked at because of a single bad row
_MATCHERS = 2  # at work at the same time


@dataclass
class _Means:
    """What there is to prove with, while the rules and the columns seen to hold numbers are these."""

    rules: Sequence[ColumnRule]
    seen: frozenset[int]
    pattern: Pattern | None
    proof: Proof | None = None


class CsvIntake:
    """Reads one CSV file into an account."""

    def __init__(self, account: Account, dialect: Dialect, piece_bytes: int = _PIECE_BYTES) -> None:
        self._account = account
        self._dialect = dialect
        self._piece_bytes = piece_bytes
        self._header: list[str] | None = None
        self._known: _Means | None = None
        self._is_plain = True  # until good cells are seen that no pattern knows

    def read(self, chunks: Iterable[bytes]) -> None:
        """Reads to the end, or until the account gives up; raises Unreadable where no record can be told any more."""
        with ThreadPoolExecutor(_MATCHERS) as self._matchers:
            rest, enough = b"", 0
            for parts, final in _gathered(without_mark(chunks), _PIECES_AT_ONCE * self._piece_bytes):
                text = b"".join((rest, *parts))
                parts.clear()
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
        if self._account.readable() and not self._account.rows and self._may_prove(len(text) - taken):
            taken += self._look(text[taken : taken + self._piece_bytes // _FIRST_LOOK], final=False)
        reach = len(text)
        while self._account.readable() and self._may_prove(len(text) - taken):
            some = self._proven(text, taken, min(taken + reach, len(text)), reach <= _SLICE_BYTES)
            if not some and reach > _SLICE_BYTES:  # little is to be looked at, so the ordinary around it is cut off
                reach = _SLICE_BYTES
                continue
            some = some or self._look(text[taken : taken + reach], final=False)
            taken, reach = taken + some, 2 * reach
            if not some:
                break
        if self._account.readable() and (final or not taken):
            taken += self._look(text[taken:], final)
        return taken

    def _may_prove(self, size: int) -> bool:
        least = self._piece_bytes if self._known is None else min(self._piece_bytes, _SLICE_BYTES)
        # A quote that is white space may be all that a quoted cell holds: whether that is filled, only reading tells.
        return size >= least and not self._account.looks_at_every_row and not self._dialect.quote.isspace()

    def _open(self, buffer: bytes, final: bool) -> int:
        """Takes the first record, which names the columns; answers how many bytes it was."""
        piece = Piece(buffer, self._dialect, final)
        self._header = piece.header()
        if self._header is not None:
            self._account.open(self._header)
        return piece.consumed

    def _proven(self, text: bytes, start: int, stop: int, little: bool) -> int:
        """Counts complete records that are good; answers their bytes, 0 if none can be proven to be."""
        means = self._means()
        taken = self._matched(means.pattern, text, start, stop) if means.pattern else 0
        if taken or (means.pattern and not little):
            return taken
        return self._read_by_a_library(means, text[start:stop])

    def _matched(self, pattern: Pattern, text: bytes, start: int, stop: int) -> int:
        """The same by the pattern: while one stretch is matched, the records of the next are counted."""
        from csv_scan import counted

        under_way, at, size = [], start, max((stop - start) // _MATCHERS, self._piece_bytes)
        while found := counted(text, self._dialect, at, stop if stop - at < 2 * size else at + size):
            if found.longest > MAX_CELL_CHARACTERS:
                break
            under_way.append((found, self._matchers.submit(pattern.matches, text, at, at + found.end)))
            at += found.end
        taken = 0
        for found, matches in under_way:
            if not matches.result():
                break
            self._account.proven(found.records)
            taken += found.end
        return taken

    def _read_by_a_library(self, means: _Means, text: bytes) -> int:
        """The same by reading the cells, which knows numbers however they are written."""
        from csv_proof import Proof
        from csv_scan import scan

        header = self._header or []
        found = scan(text, self._dialect, len(header))
        if found is None:
            return 0
        means.proof = means.proof or Proof(means.rules, self._dialect)
        numbers = means.proof.holds(text[: found.end], found.records, found.longest)
        if numbers is None:
            return 0
        self._account.proven(found.records, (header[place] for place in numbers))
        if numbers <= means.seen:
            self._is_plain, means.pattern = False, None
        return found.end

    def _means(self) -> _Means:
        """Made anew when the rules have changed: a first upload's columns may turn out to be texts."""
        header = self._header or []
        rules = [self._account.rule(name) for name in header]
        seen = frozenset(place for place, name in enumerate(header) if self._account.holds_numbers(name))
        if self._known is None or (self._known.rules, self._known.seen) != (rules, seen):
            from csv_pattern import pattern_of

            self._known = _Means(rules, seen, pattern_of(rules, seen, self._dialect) if self._is_plain else None)
        return self._known

    def _look(self, text: bytes, final: bool) -> int:
        piece = Piece(text, self._dialect, final)
        for batch in batches(self._header or [], piece.records()):
            self._account.look(batch)
            if not self._account.readable():
                break
        return piece.consumed


def _gathered(chunks: Iterable[bytes], size: int) -> Iterator[tuple[list[bytes], bool]]:
    """The chunks in groups of at least this size together, but for the last, which may be empty."""
    group: list[bytes] = []
    for chunk in chunks:
        group.append(chunk)
        if sum(map(len, group)) >= size:
            yield group, False
            group = []
    yield group, True
