"""What earlier versions have recorded is read as they have read it: a ledger is never migrated."""

import json

import pytest

from shared.envelope import from_json
from shared.ledger import run_key
from tests.shared.stored_ledger import LEDGERS, as_written, folded, opened

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


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_ledger_can_be_read_after_each_of_its_records(name: str) -> None:
    """Whoever looks while something is under way sees a state, and what was decided stays as it was."""
    decided: dict[tuple[str, int, str], str] = {}
    for state in as_written(name):
        found = {
            (model, number, what): rollout[what]
            for model, told in state.items()
            for number, rollout in enumerate(told["rollouts"])
            for what in ("decision", "end")
            if rollout[what]
        }
        assert found | decided == found
        decided = found
    assert len(decided) > 3


def test_a_record_that_is_missing_is_noticed() -> None:
    ledger = opened(NAMES[-1])
    expected = folded(ledger)
    ledger.store.delete(run_key(next(iter(expected["digits"]["history"])), "end"))  # type: ignore[attr-defined]
    assert folded(ledger) != expected
