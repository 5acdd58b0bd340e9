"""The running account of one file: every row counted once, every problem noted, bad rows kept to be written aside.

A row is looked at cell by cell here, and only here; whoever can prove that a stretch of rows breaks no rule says
`proven` instead, and nobody looks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from row_problems import MAX_EXAMPLES, ROW_CODES, Problem
from row_rules import MAX_QUARANTINED_CHARACTERS, MAX_QUARANTINED_ROWS, ColumnRule, Rules

from shared.tables.cells import MAX_CELL_CHARACTERS, MAX_COLUMNS, Batch, Kind, is_number

MAX_NAME_CHARACTERS = 256  # of a column: it travels in records and events
_TYPE_CHANGED_FROM = 20  # bad cells without one good number; fewer may be slips
_Findings = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class BadRow:
    """A row written aside: its number from 1, what is wrong with it, its cells as far as they may be shown."""

    row: int
    reasons: tuple[str, ...]
    cells: tuple[str, ...] | None


@dataclass(frozen=True)
class Reading:
    """What a file holds. `rows` counts all its rows, good and bad; it is where reading stopped if not `complete`."""

    rows: int
    bad_rows: int
    columns: Mapping[str, Kind]
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    quarantine: tuple[BadRow, ...]
    complete: bool
    accepted: bool


@dataclass
class _Tally:
    count: int = 0
    rows: list[int] = field(default_factory=list)


class Account:
    """Counts and checks the rows of one file by the rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rows = 0
        self._names: dict[str, None] = {}
        self._inferred: dict[str, Kind] = {}
        self._with_numbers: set[str] = set()
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._file: list[Problem] = []
        self._bad_rows = 0
        self._looked_at_cells = 0
        self._quarantine: list[BadRow] = []
        self._quarantined_characters = 0
        self._keys: set[int] | None = set() if rules.unique else None

    @property
    def looks_at_every_row(self) -> bool:
        """Whether a proof about single rows is not enough: keys are still being compared."""
        return self._keys is not None

    def readable(self) -> bool:
        """Whether it makes sense to read rows, or more of them."""
        return not any(problem.code in _HOPELESS for problem in self._file)

    def rule(self, name: str) -> ColumnRule:
        """The rule of a column as it is understood so far; a column outside a known schema has none."""
        rule = self.rules.columns.get(name, ColumnRule())
        if rule.kind is not None or (self.rules.known and name not in self.rules.columns):
            return rule
        kind = self._inferred.get(name, "number")
        return ColumnRule(
            kind, rule.filled, rule.optional, rule.minimum, rule.maximum, rule.allowed, rule.sensitive
        )  # fmt: skip

    def holds_numbers(self, name: str) -> bool:
        """Whether a number was seen in a column."""
        return name in self._with_numbers

    def open(self, names: Sequence[str]) -> None:
        """Takes in the columns, of which each may stand once."""
        if len(names) > MAX_COLUMNS:
            self.refuse("too-many-columns", f"has {len(names)} columns, at most {MAX_COLUMNS} are allowed")
            return
        seen: set[str] = set()
        for name in dict.fromkeys(name for name in names if name in seen or seen.add(name)):  # type: ignore[func-returns-value]
            self.refuse("duplicate-column", column=name)
        self._names.update(dict.fromkeys(names))
        if any(len(name) > MAX_NAME_CHARACTERS for name in names):
            self.refuse("column-name-too-long", f"has a column whose name is longer than {MAX_NAME_CHARACTERS}")

    def refuse(self, code: str, text: str = "", column: str = "") -> None:
        """Notes what is wrong with the file as such."""
        self._file.append(Problem(code, text, column))

    def infer(self, name: str, kind: Kind) -> None:
        """Takes the kind of a column from a format that says it."""
        self._inferred[name] = kind

    def proven(self, rows: int, numbers: Iterable[str] = ()) -> None:
        """Counts rows of which somebody knows that they break no rule; `numbers` are columns seen to hold some."""
        self.rows += rows
        self._with_numbers.update(numbers)
        self._limit()

    def look(self, batch: Batch) -> None:
        """Counts rows and checks each of their cells."""
        if new := [name for name in batch.names if name not in self._names]:
            self.open([*self._names, *new])
        found: dict[int, list[tuple[str, str]]] = {}
        for trouble in batch.troubles:
            found.setdefault(trouble.row, []).append((trouble.code, trouble.column))
        whole = [place for place in range(len(batch.rows)) if place not in found]
        rows = [batch.rows[place] for place in whole] if found else batch.rows
        for name, cells in zip(batch.names, zip(*rows, strict=True), strict=True) if rows else ():
            for place, code in self._check(name, cells):
                found.setdefault(whole[place], []).append((code, name))
        for place in self._repeated(batch, whole):
            found.setdefault(place, []).append(("duplicate-key", ""))
        for place in sorted(found):
            self._note(self.rows + place + 1, found[place], batch, batch.rows[place])
        self.rows += len(batch.rows)
        self._looked_at_cells += len(batch.rows) * len(batch.names)
        self._limit()

    def _limit(self) -> None:
        if not self.readable():
            return
        if self.rows > self.rules.max_rows:
            self.refuse("too-many-rows", f"has more than {self.rules.max_rows} rows")
        if self._bad_rows > self.rules.max_bad_rows:
            self.refuse("hopeless", f"has more than {self.rules.max_bad_rows} bad rows among its first {self.rows}")
        if self._looked_at_cells > self.rules.max_looked_at_cells:
            self.refuse("too-slow", f"takes too long: reading stopped after {self.rows} rows")

    def _check(self, name: str, cells: Sequence[str]) -> _Findings:
        yield from _of_any_kind(cells)
        rule = self.rule(name)
        if rule.kind == "number":
            misfits = [place for place, cell in enumerate(cells) if cell and not is_number(cell)]
            if len(misfits) < len(cells) - cells.count(""):
                self._with_numbers.add(name)
            if misfits and self.rules.columns.get(name, ColumnRule()).kind is None:
                self._inferred[name] = "text"  # a first upload's cells say of what kind its columns are
                misfits = []
            yield from ((place, "not-a-number") for place in misfits)
            yield from _of_range(rule, cells)
        if rule.filled:
            code = "missing-target" if name == self.rules.target else "missing-value"
            yield from ((place, code) for place, cell in enumerate(cells) if not cell.strip())
        if rule.allowed:
            yield from ((at, "not-allowed") for at, cell in enumerate(cells) if cell and cell not in rule.allowed)

    def _repeated(self, batch: Batch, whole: Sequence[int]) -> Iterator[int]:
        """The places of rows whose unique columns were seen before; none once there are too many rows to know."""
        if self._keys is None:
            return
        places = [batch.names.index(name) for name in self.rules.unique if name in batch.names]
        for at in whole if len(places) == len(self.rules.unique) else ():
            if len(self._keys) >= self.rules.max_unique_rows:
                self._keys = None
                return
            key = _key([batch.rows[at][place] for place in places])
            if key in self._keys:
                yield at
            self._keys.add(key)

    def _note(self, row: int, found: Sequence[tuple[str, str]], batch: Batch, cells: Sequence[str]) -> None:
        self._bad_rows += 1
        for code, column in dict.fromkeys(found):
            tally = self._tallies.setdefault((code, column), _Tally())
            tally.count += 1
            if len(tally.rows) < MAX_EXAMPLES:
                tally.rows.append(row)
        if self.rules.bad_rows_share and len(self._quarantine) < MAX_QUARANTINED_ROWS:
            reasons = tuple(f"{code} {column}".rstrip() for code, column in dict.fromkeys(found))
            self._quarantine.append(BadRow(row, reasons, self._presentable(batch.names, cells)))

    def _presentable(self, names: Sequence[str], cells: Sequence[str]) -> tuple[str, ...] | None:
        """The cells without the sensitive ones; None where they cannot be told apart, or are too much to keep."""
        size = sum(map(len, cells))
        if self._quarantined_characters + size > MAX_QUARANTINED_CHARACTERS:
            return None
        if self.rules.sensitive and len(names) != len(cells):
            return None
        self._quarantined_characters += size
        if not self.rules.sensitive:
            return tuple(cells)
        return tuple("" if self.rule(name).sensitive else cell for name, cell in zip(names, cells, strict=True))

    def reading(self, complete: bool = True) -> Reading:
        """The account, closed."""
        rules = self.rules
        if complete:
            self._close()
        problems, notices = [*self._file, *self._of_rows()], self._notices()
        hopeless = any(problem.code not in ROW_CODES for problem in problems)
        bearable = self._bad_rows <= rules.bad_rows_share * self.rows and self._bad_rows < max(1, self.rows)
        return Reading(
            rows=self.rows,
            bad_rows=self._bad_rows,
            columns={name: self.rule(name).kind or "text" for name in self._names},
            problems=tuple(problems),
            notices=tuple(notices),
            quarantine=tuple(self._quarantine),
            complete=complete,
            accepted=complete and not hopeless and bearable,
        )

    def _close(self) -> None:
        """Says what only the whole file shows."""
        rules = self.rules
        named = dict.fromkeys([*rules.columns, *rules.unique])
        for name in sorted(named) if self._names else ():
            if name not in self._names and not (name in rules.columns and rules.columns[name].optional):
                self.refuse("missing-column", column=name)
        if rules.new_columns_reject:
            self._file += self._new_columns()
        if rules.unique and self._keys is None and rules.unchecked_unique_rejects:
            self.refuse("not-checked")
        if self._bad_rows > MAX_QUARANTINED_ROWS and self._bad_rows <= rules.bad_rows_share * self.rows:
            self.refuse("too-many-bad-rows", f"has {self._bad_rows} bad rows, at most {MAX_QUARANTINED_ROWS}")
        if not self.rows:
            self.refuse("no-rows" if self._names else "empty-file")

    def _of_rows(self) -> Iterator[Problem]:
        for (code, column), tally in self._tallies.items():
            changed = code == "not-a-number" and tally.count >= _TYPE_CHANGED_FROM and column not in self._with_numbers
            yield Problem("type-changed" if changed else code, "", column, tally.count, tuple(tally.rows))

    def _notices(self) -> list[Problem]:
        found = [] if self.rules.new_columns_reject else self._new_columns()
        if self.rules.unique and self._keys is None and not self.rules.unchecked_unique_rejects:
            found.append(Problem("not-checked"))
        return found

    def _new_columns(self) -> list[Problem]:
        new = [name for name in self._names if self.rules.known and name not in self.rules.columns]
        return [Problem("new-column", "", name) for name in new]


_HOPELESS = frozenset({"too-many-columns", "too-many-rows", "column-name-too-long", "hopeless", "too-slow"})


def _of_any_kind(cells: Sequence[str]) -> _Findings:
    if len(max(cells, key=len)) > MAX_CELL_CHARACTERS:
        yield from ((place, "cell-too-long") for place, cell in enumerate(cells) if len(cell) > MAX_CELL_CHARACTERS)
    if "\0" in "".join(cells):
        yield from ((place, "nul-character") for place, cell in enumerate(cells) if "\0" in cell)


def _of_range(rule: ColumnRule, cells: Sequence[str]) -> _Findings:
    if rule.minimum is None and rule.maximum is None:
        return
    for place, cell in enumerate(cells):
        if not is_number(cell):
            continue
        if rule.minimum is not None and float(cell) < rule.minimum:
            yield place, "below-minimum"
        if rule.maximum is not None and float(cell) > rule.maximum:
            yield place, "above-maximum"


def _key(cells: Sequence[str]) -> int:
    """128 bits of a digest: that two different keys among a million meet has a chance of 1 in 10^26."""
    text = "".join(f"{len(cell)}:{cell}" for cell in cells)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big")
