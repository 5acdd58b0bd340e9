"""What makes a row good: the schema and the settings put together, once per file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.schema import expected_columns, kind_of
from shared.settings import DataSettings
from shared.tables.cells import Kind, is_number

MAX_UNIQUE_ROWS = 1_000_000  # about 90 bytes each
MAX_QUARANTINED_ROWS = 100_000  # more is another file than was meant, and training reads the list of them
MAX_BAD_ROWS = 1_000_000  # nobody mends them one by one, and noting each takes ten times as long as a good one
MAX_LOOKED_AT_CELLS = 150_000_000  # about five minutes: a function has nine, and would else begin again and again
MAX_QUARANTINED_CHARACTERS = 16 << 20  # beyond it, rows are written aside by their number alone


@dataclass(frozen=True)
class ColumnRule:
    """What a cell of one column may be; `kind` is None until a first upload has shown it."""

    kind: Kind | None = None
    filled: bool = False
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: frozenset[str] = frozenset()
    sensitive: bool = False

    @property
    def demands(self) -> bool:
        """Whether there is anything that a cell could do wrong."""
        return self.kind == "number" or self.filled or bool(self.allowed)

    def allows(self, cell: str) -> bool:
        """Whether a cell that is one of the allowed keeps the column's other rules too."""
        if self.kind != "number" or not is_number(cell):
            return self.kind != "number" and bool(cell.strip()) and "\0" not in cell
        return (self.minimum is None or float(cell) >= self.minimum) and (
            self.maximum is None or float(cell) <= self.maximum
        )


@dataclass(frozen=True)
class Rules:
    """What a file of rows may be. `known` says whether there is a schema, so that columns outside of it are new."""

    target: str
    columns: Mapping[str, ColumnRule] = field(default_factory=dict)
    known: bool = False
    unique: tuple[str, ...] = ()
    unchecked_unique_rejects: bool = False
    new_columns_reject: bool = False
    bad_rows_share: float = 0.0
    max_bytes: int = 10 * 1024**3
    max_rows: int = 1_000_000_000
    max_unique_rows: int = MAX_UNIQUE_ROWS
    max_bad_rows: int = MAX_BAD_ROWS
    max_looked_at_cells: int = MAX_LOOKED_AT_CELLS

    @property
    def sensitive(self) -> bool:
        return any(rule.sensitive for rule in self.columns.values())


def rules_of(settings: DataSettings, recorded: Mapping[str, Kind] | None) -> Rules:
    """The rules of a model, with the recorded schema or, for its first upload, without."""
    expected = expected_columns(recorded or {}, settings)
    names = dict.fromkeys([*expected, settings.target])
    return Rules(
        target=settings.target,
        columns={name: _rule(name, expected.get(name) if recorded else None, settings) for name in names},
        known=recorded is not None,
        unique=settings.unique,
        unchecked_unique_rejects=settings.unchecked_unique == "reject",
        new_columns_reject=settings.new_columns == "reject",
        bad_rows_share=settings.bad_rows_share,
        max_bytes=settings.max_bytes,
        max_rows=settings.max_rows,
    )


def _rule(name: str, kind: Kind | None, settings: DataSettings) -> ColumnRule:
    told = settings.columns.get(name)
    is_target = name == settings.target
    if told is None:
        return ColumnRule(kind, filled=is_target)
    return ColumnRule(
        kind=kind or kind_of(name, settings),
        filled=told.required or is_target,
        optional=told.optional and not is_target,
        minimum=told.minimum,
        maximum=told.maximum,
        allowed=frozenset(told.allowed),
        sensitive=told.sensitive,
    )
