"""What earlier versions have recorded is read as they have read it: a ledger is never migrated."""

import json

import pytest

from shared.envelope import from_json
from shared.ledger import run_key
from tests.shared.stored_ledger import LEDGERS, folded, opened

NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in LEDGERS.glob("*.jsonl.gz"))


def test_there_is_a_ledger_of_an_earlier_version() -> None:
    assert NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_ledger_folds_to_the_same_state(name: str) -> None:
    assert folded(opened(name)) == json.loads((LEDGERS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_record_of_a_stored_ledger_is_still_understood(name: str) -> None:
    ledger = opened(name)
    records = [ledger.require(entry.key) for entry in ledger.entries("")]
    events = [event for record in records for event in record.events]
    assert len(records) > 100
    assert len(events) > 30
    assert all(from_json(event.to_json()) == event for event in events)


def test_a_record_that_is_missing_is_noticed() -> None:
    ledger = opened(NAMES[-1])
    expected = folded(ledger)
    ledger.store.delete(run_key(next(iter(expected["digits"]["history"])), "end"))  # type: ignore[attr-defined]
    assert folded(ledger) != expected
