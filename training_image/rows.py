"""From the bytes of uploads to one typed table: the only place where training looks at text.

Uploads were checked when they came, but each alone; here they meet, so what fits no common table is said here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.tables.cells import Kind, Unreadable
from shared.tables.checksum import content_id_of
from shared.tables.forms import CSV, Dialect
from shared.tables.whole import sheet
from training_image.errors import BadData, Untrainable

MAX_FEATURES = 2_000
"""Wider tables train for hours on the default machine and make models too big to serve within a request's time."""
MAX_TEXTS_PER_COLUMN = 1_000
"""One one-hot column each: a column with more is free text or an identifier, from which nothing would generalise."""
MAX_REASONS = 20
"""A person reads the first few; a file with a million bad rows must not make a reason of a hundred megabytes."""

MAX_BYTES = 100 << 30
"""An unpacked upload: intake has held it to the settings' limit, and this only ends what would never end."""

Floats = NDArray[np.float32]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Upload:
    """One file of rows, as stored; `left_out` are the numbers, from 1, of the rows that intake set aside."""

    name: str
    content: bytes
    left_out: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Feature:
    name: str
    kind: Kind


@dataclass(frozen=True)
class Table:
    """All rows of a training, numbers and texts apart, in the order of the features of each kind.

    `numbers` is float32 [rows, number features] with NaN for missing, `texts` object [rows, text features] with "" for
    missing, `target` object [rows]; `judged` is true for the rows of the new window. `looked_at` has the cells [rows]
    of the columns that were asked for by name, features or not.
    """

    features: tuple[Feature, ...]
    numbers: Floats
    texts: Texts
    target: Texts
    judged: NDArray[np.bool_]
    trained_sha256: str
    judged_sha256: str
    looked_at: Mapping[str, Texts] = field(default_factory=dict)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names of the features of one kind, in the order of their columns."""
        return tuple(feature.name for feature in self.features if feature.kind == kind)


@dataclass(frozen=True)
class _Records:
    header: tuple[str, ...]
    records: Sequence[Sequence[str]]
    content: str


def read_table(
    earlier: Sequence[Upload],
    window: Sequence[Upload],
    target: str,
    dialect: Dialect = CSV,
    schema: Mapping[str, Kind] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    ignored: Sequence[str] = (),
    looked_at: Sequence[str] = (),
) -> Table:
    """The table of all rows, earlier windows first, every column typed over all files together.

    With a schema, its columns count and no others, each of the kind that it says; what a file lacks is missing in all
    its rows. Without one, all files have the same columns, of numbers if every cell that is not empty is one. `kinds`
    says otherwise of some columns. Columns that are ignored are no features. Raises BadData naming every reason found
    in the rows, Untrainable for columns that are named and not there.
    """
    read = [_fitted(_read(upload, dialect), schema, target) for upload in (*earlier, *window)]
    _check_headers(read, [upload.name for upload in (*earlier, *window)], target)
    names = read[0].header
    records = [record for part in read for record in _in_order(part, names)]
    judged = np.zeros(len(records), dtype=np.bool_)
    judged[sum(len(part.records) for part in read[: len(earlier)]) :] = True
    cells = zip(*records, strict=True) if records else [()] * len(names)
    columns: dict[str, tuple[str, ...]] = dict(zip(names, cells, strict=True))
    labels = np.array([cell.strip() for cell in columns.pop(target)], dtype=object)
    _check_named([*ignored, *looked_at], columns)
    wanted = {name: np.array(columns[name], dtype=object) for name in looked_at}
    columns = {name: cells for name, cells in columns.items() if name not in ignored}
    if not columns:
        raise Untrainable(["every column is ignored, so there is no feature"])
    features, numbers, texts = _typed(columns, len(records), {**(schema or {}), **(kinds or {})})
    return Table(
        features=features,
        numbers=numbers,
        texts=texts,
        target=labels,
        judged=judged,
        trained_sha256=_digest(part.content for part in read),
        judged_sha256=_digest(part.content for part in read[len(earlier) :]),
        looked_at=wanted,
    )


def _check_named(names: Sequence[str], columns: Mapping[str, object]) -> None:
    missing = [
        f"the settings name a column {name!r} that the rows do not have" for name in names if name not in columns
    ]
    if missing:
        raise Untrainable(missing)


def _read(upload: Upload, dialect: Dialect) -> _Records:
    try:
        read = sheet(upload.name, upload.content, dialect, MAX_BYTES)
    except Unreadable as error:
        raise BadData([f"{upload.name}: {error}"]) from error
    wrong = [place + 1 for place in sorted(read.troubled) if place + 1 not in upload.left_out]
    if wrong:
        raise BadData([f"{upload.name}: row {row} cannot be read" for row in wrong[:MAX_REASONS]])
    kept = [row for number, row in enumerate(read.rows, 1) if number not in upload.left_out]
    return _Records(header=read.names, records=kept, content=content_id_of(upload.content))


def _fitted(part: _Records, schema: Mapping[str, Kind] | None, target: str) -> _Records:
    """The rows with the columns of the schema."""
    names = tuple(dict.fromkeys([*(schema or ()), target]))
    if schema is None or part.header == names:
        return part
    places = [part.header.index(name) if name in part.header else None for name in names]
    rows = [["" if place is None else row[place] for place in places] for row in part.records]
    return _Records(header=names, records=rows, content=part.content)


def _check_headers(read: Sequence[_Records], names: Sequence[str], target: str) -> None:
    if not read:
        raise BadData(["there is no upload to train on"])
    reasons = list(_header_reasons(read, names, target))
    if reasons:
        raise BadData(reasons[:MAX_REASONS])


def _header_reasons(read: Sequence[_Records], names: Sequence[str], target: str) -> Iterator[str]:
    first = read[0].header
    if len(set(first)) < len(first):
        yield f"{names[0]}: two columns have the same name"
    if target not in first:
        yield f"{names[0]}: there is no target column {target!r}"
    if not 1 < len(first) <= MAX_FEATURES + 1:
        yield f"{names[0]}: {len(first) - 1} features, 1 to {MAX_FEATURES} are allowed"
    for part, name in zip(read[1:], names[1:], strict=True):
        missing, extra = sorted({*first} - {*part.header}), sorted({*part.header} - {*first})
        if missing or extra or len(part.header) != len(first):
            yield f"{name}: other columns than {names[0]} (missing: {_listed(missing)}; new: {_listed(extra)})"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_REASONS]) or "none"
    return f"{shown}, …" if len(names) > MAX_REASONS else shown


def _in_order(part: _Records, names: tuple[str, ...]) -> Iterable[Sequence[str]]:
    if part.header == names:
        return part.records
    places = [part.header.index(name) for name in names]
    return ([record[place] for place in places] for record in part.records)


def _typed(
    columns: dict[str, tuple[str, ...]], rows: int, schema: Mapping[str, Kind]
) -> tuple[tuple[Feature, ...], Floats, Texts]:
    parsed = {name: None if schema.get(name) == "text" else _numbers(cells) for name, cells in columns.items()}
    features = tuple(Feature(name, "text" if values is None else "number") for name, values in parsed.items())
    numbers = [values for values in parsed.values() if values is not None]
    texts = {name: columns[name] for name, values in parsed.items() if values is None}
    reasons = [
        *(f"column {name!r} holds texts, its schema says numbers" for name in texts if schema.get(name) == "number"),
        *(f"column {name!r} holds a number too big for 32 bits" for name, values in parsed.items() if _too_big(values)),
        *(
            f"column {name!r} holds {count} different texts, at most {MAX_TEXTS_PER_COLUMN} are allowed"
            for name, cells in texts.items()
            if (count := len(set(cells))) > MAX_TEXTS_PER_COLUMN
        ),
    ]
    if reasons:
        raise BadData(reasons[:MAX_REASONS])
    return (
        features,
        np.stack(numbers, axis=1) if numbers else np.empty((rows, 0), dtype=np.float32),
        np.array(list(texts.values()), dtype=object).reshape(len(texts), rows).T,
    )


def _numbers(cells: tuple[str, ...]) -> Floats | None:
    """The cells as float32, NaN where empty; none if any cell is something else than a finite number."""
    filled = [cell for cell in cells if cell]
    if any("_" in cell for cell in filled):  # Python reads 1_000 as a number, nobody else does
        return None
    try:
        read = np.array([float(cell) for cell in filled], dtype=np.float64)
    except ValueError:
        return None
    if not np.isfinite(read).all():
        return None
    values = np.full(len(cells), np.nan)
    values[[bool(cell) for cell in cells]] = read
    with np.errstate(over="ignore"):  # too big becomes infinite, which is reported by name
        return values.astype(np.float32)


def _too_big(values: Floats | None) -> bool:
    return values is not None and bool(np.isinf(values).any())


def _digest(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
