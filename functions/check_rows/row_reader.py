"""One file of rows, whatever its form, read once: from a source of bytes to what it holds."""

from __future__ import annotations

from collections.abc import Iterable

from csv_intake import CsvIntake
from row_account import Account, Reading
from row_rules import Rules

from shared.tables.cells import Unreadable
from shared.tables.forms import HEAD_BYTES, Dialect, form_of
from shared.tables.json_lines import JsonLines
from shared.tables.source import UploadSource
from shared.tables.streamed import whole_lines
from shared.tables.unpacking import unpacked


def read(source: UploadSource, name: str, rules: Rules, dialect: Dialect) -> Reading:
    """Counts and checks the rows of a file in bounded memory; whatever it holds, the answer says what is wrong with it.

    Raises Refused when the generation is gone, Transient when its bytes could not be had.
    """
    account = Account(rules)
    if source.size > rules.max_bytes:
        account.refuse("too-large", f"is {source.size} bytes long, at most {rules.max_bytes} are allowed")
        return account.reading(complete=False)
    try:
        _read(source, name, account, dialect)
    except Unreadable as unreadable:
        account.refuse(unreadable.code, unreadable.text)
        return account.reading(complete=False)
    return account.reading(complete=account.readable())


def _read(source: UploadSource, name: str, account: Account, dialect: Dialect) -> None:
    form = form_of(name, source.head[:HEAD_BYTES])
    if form.kind == "parquet":
        from parquet_intake import read_parquet

        read_parquet(source.file(), source.size, account)
        return
    chunks: Iterable[bytes] = source.chunks()
    if form.gzip:
        chunks = unpacked(chunks, account.rules.max_bytes)
    if form.kind == "csv":
        CsvIntake(account, dialect).read(chunks)
        return
    _read_json_lines(chunks, account)


def _read_json_lines(chunks: Iterable[bytes], account: Account) -> None:
    lines = JsonLines()
    for text in whole_lines(chunks):
        for batch in lines.batches(text):
            account.look(batch)
            if not account.readable():
                return
