"""Counts and checks the records of a CSV file while it streams by: a record is not a line, its cells may hold many."""

import codecs
import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

MAX_CELL_CHARACTERS = 1 << 20  # a longer cell is a file with a lost quote
MAX_COLUMNS = 10_000
MAX_EXAMPLES = 5
Kind = Literal["number", "text"]


@dataclass(frozen=True)
class Problem:
    """One kind of trouble in one column: a stable code, how often, and the first rows (from 1) it was seen in."""

    code: str
    text: str
    column: str = ""
    count: int = 1
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = (
            f" (rows {', '.join(map(str, self.rows))}{', …' if self.count > len(self.rows) else ''})"
            if self.rows
            else ""
        )
        times = f" {self.count} times" if self.count > 1 else ""
        return f"{self.code}: {self.text}{times}{where}"


@dataclass(frozen=True)
class Reading:
    """What a file holds: records counted, the kind of each column, every problem, and the digest of its bytes."""

    sha256: str
    rows: int
    columns: Mapping[str, Kind]
    problems: tuple[Problem, ...]


def read(chunks: Iterable[bytes], delimiter: str, target: str, expected: Mapping[str, Kind] | None) -> Reading:
    """Reads a whole CSV file from its bytes in constant memory.

    `expected` is the recorded schema, or None for a model's first upload, whose kinds are inferred from its own cells.
    """
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    digest = hashlib.sha256()
    book = _Book(target, expected)
    lines = _lines(_hashed(chunks, digest))
    try:
        records = csv.reader(lines, delimiter=delimiter, strict=True)
        header = next(records, None)
        if header is None:
            book.note("empty-file", "the file holds no header")
        elif book.open(header):
            for record in records:
                if record:
                    book.add(record)
    except UnicodeDecodeError:
        book.note("not-utf-8", "the file is not UTF-8 text", row=book.rows + 1)
    except csv.Error as error:
        book.note("not-csv", f"the file cannot be read as CSV from here on: {error}", row=book.rows + 1)
    for _ in lines_left(lines):
        pass
    return Reading(digest.hexdigest(), book.rows, book.kinds(), book.problems())


def lines_left(lines: Iterator[str]) -> Iterator[None]:
    """Reads what a problem left unread, so that the digest is that of the whole file."""
    while True:
        try:
            next(lines)
        except StopIteration:
            return
        except UnicodeDecodeError:
            continue
        yield


def _hashed(chunks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """The physical lines with their ends, without a byte-order mark; a reader puts quoted ones together again."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    for chunk in chunks:
        lines = (rest + decoder.decode(chunk)).split("\n")
        rest = lines.pop()
        for line in lines:
            yield line + "\n"
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


@dataclass
class _Book:
    """The running account of one file."""

    target: str
    expected: Mapping[str, Kind] | None
    rows: int = 0
    header: list[str] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    found: dict[tuple[str, str], tuple[str, int, list[int]]] = field(default_factory=dict)

    def open(self, header: list[str]) -> bool:
        """Takes the header in; answers whether its rows can be told apart at all."""
        self.header = header
        if len(header) > MAX_COLUMNS:
            self.note("too-many-columns", f"{len(header)} columns, at most {MAX_COLUMNS}")
            return False
        for name in sorted({name for name in header if header.count(name) > 1}):
            self.note("duplicate-column", f"column {name!r} stands more than once", name)
        required = set(self.expected or {self.target: "text"})
        for name in sorted(required - set(header)):
            self.note("missing-column", f"column {name!r} is missing", name)
        for name in sorted(set(header) - required) if self.expected else ():
            self.note("unknown-column", f"column {name!r} is not in the schema", name)
        return True

    def add(self, record: list[str]) -> None:
        """Counts one record and checks its cells."""
        self.rows += 1
        if len(record) != len(self.header):
            self.note("wrong-width", f"not {len(self.header)} cells", row=self.rows)
            return
        for name, cell in zip(self.header, record, strict=True):
            self._check(name, cell)

    def _check(self, name: str, cell: str) -> None:
        if "\0" in cell:
            self.note("nul-character", f"column {name!r} holds NUL characters", name, self.rows)
        if name == self.target and not cell.strip():
            self.note("missing-target", f"target {name!r} is empty", name, self.rows)
        if name in self.texts or not cell or _is_number(cell):
            return
        if self.expected and self.expected.get(name) == "number":
            self.note("not-a-number", f"column {name!r} is not a number", name, self.rows)
        elif not self.expected:
            self.texts.add(name)

    def note(self, code: str, text: str, column: str = "", row: int | None = None) -> None:
        """Adds to the account of one problem."""
        _, count, rows = self.found.get((code, column), (text, 0, []))
        seen = [*rows, row] if row is not None and len(rows) < MAX_EXAMPLES else rows
        self.found[(code, column)] = (text, count + 1, seen)

    def kinds(self) -> dict[str, Kind]:
        """The kind of each column: what the schema says, or what the cells were."""
        return dict(self.expected) if self.expected else {name: self._kind(name) for name in self.header}

    def _kind(self, name: str) -> Kind:
        return "text" if name in self.texts else "number"

    def problems(self) -> tuple[Problem, ...]:
        """Every problem, and that there are no rows if there are none."""
        if self.header and not self.rows:
            self.note("no-rows", "the file holds a header and no rows")
        return tuple(
            Problem(code, text, column, count, tuple(rows))
            for (code, column), (text, count, rows) in self.found.items()
        )


def _is_number(cell: str) -> bool:
    try:
        value = float(cell)
    except ValueError:
        return False
    return value - value == 0 and "_" not in cell  # neither infinite nor NaN
