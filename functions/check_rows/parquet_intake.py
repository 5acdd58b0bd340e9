"""A Parquet file into an account: from the footer alone where its statistics prove the rules, else column by column."""

from __future__ import annotations

from typing import BinaryIO

from row_account import Account
from row_rules import ColumnRule

from shared.tables.cells import Kind, Unreadable
from shared.tables.parquet import ParquetRows


def read_parquet(file: BinaryIO, size: int, account: Account) -> None:
    """Counts all rows; reads only the columns that the footer says too little about. Raises Unreadable."""
    rows = ParquetRows(file, size)
    if rows.unpacked_bytes > account.rules.max_bytes:
        raise Unreadable("too-large", f"unpacks to more than {account.rules.max_bytes} bytes")
    account.open(rows.names)
    if not account.readable() or len(set(rows.names)) < len(rows.names):
        return
    kinds = rows.kinds()
    for name, kind in kinds.items():
        _check_type(name, kind, account)
    if any(kind is None for kind in kinds.values()) and not account.rules.known:
        return
    looked_at = [name for name in rows.names if _is_open(name, rows, kinds[name], account)]
    if not looked_at:
        account.proven(rows.rows, [name for name, kind in kinds.items() if kind == "number"])
        return
    for batch in rows.batches(looked_at):
        account.look(batch)
        if not account.readable():
            break


def _check_type(name: str, kind: Kind | None, account: Account) -> None:
    expected = account.rules.columns.get(name, ColumnRule()).kind
    if account.rules.known and name not in account.rules.columns:
        return
    if kind is None:
        account.refuse("not-cells", column=name)
    elif expected == "text" and kind == "number":
        account.refuse("type-changed", "holds numbers, and the schema says text", name)
    elif expected is None:
        account.infer(name, kind)


def _is_open(name: str, rows: ParquetRows, kind: Kind | None, account: Account) -> bool:
    """Whether the footer leaves something to be seen of a column."""
    rule = account.rule(name)
    if name in account.rules.unique:
        return True
    if kind is None or not rule.demands:
        return False
    proven = rows.proven(name)
    if kind == "text" or rule.allowed:
        return True  # neither emptiness nor membership stands in a footer
    if rows.may_be_nan(name) and rule.filled:
        return True  # statistics leave NaN out, and NaN is a missing value
    known = proven.nulls is not None and (proven.smallest is not None or proven.nulls == rows.rows)
    return not known or not _is_within(proven.smallest, proven.largest, rule) or bool(rule.filled and proven.nulls)


def _is_within(smallest: object, largest: object, rule: ColumnRule) -> bool:
    if smallest is None or largest is None:
        return True
    low, high = float(smallest), float(largest)  # type: ignore[arg-type]
    if not -float("inf") < low <= high < float("inf"):
        return False
    return (rule.minimum is None or low >= rule.minimum) and (rule.maximum is None or high <= rule.maximum)
