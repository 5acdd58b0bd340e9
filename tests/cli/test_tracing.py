"""Where a run's time went, told from its records: each function's work, its event's way, and what the cloud did."""

from datetime import datetime, timedelta

import pytest

from cli.tracing import Bar, bars, drawn, summary, to_json
from shared.errors import BadInput
from shared.ids import ModelName, RunId
from shared.ledger import Author, Ledger, Origin, Outcome, rollout_key, run_key, window_key
from tests.world.cloud import START, MemoryCloud

MODEL, RUN = ModelName("digits"), RunId("digits-000001")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(cloud: MemoryCloud, key: str, said: float, began: float, at: float, /, **data: object) -> None:
    origin = Origin("an event", after(said), after(began))
    author = Author("a_function", "an event", None, lambda: after(at), cloud.token, origin)
    Ledger(cloud.state, author).record(key, Outcome(data))


@pytest.fixture
def ledger() -> Ledger:
    cloud = MemoryCloud()
    record(cloud, window_key(MODEL, 1), 0, 1, 2, run=RUN)
    record(cloud, run_key(RUN, "job-1"), 2, 2, 3)
    record(cloud, run_key(RUN, "decision"), 10, 11, 12, began=after(5).isoformat())
    record(cloud, run_key(RUN, "staging"), 12, 12, 13)
    record(cloud, run_key(RUN, "staged"), 12, 20, 21, ended=after(18).isoformat())
    record(cloud, run_key(RUN, "rollout"), 21, 21, 22, rollout=1)
    record(cloud, rollout_key(MODEL, 1, "shifted/000001"), 22, 22, 23, percent=5)
    record(cloud, rollout_key(MODEL, 1, "intervals/000000000001"), 24, 24, 25)
    record(cloud, rollout_key(MODEL, 1, "steps/000002"), 30, 30, 31)
    record(cloud, rollout_key(MODEL, 1, "shifted/000002"), 31, 31, 32, percent=100)
    Ledger(cloud.state, Author("cli", None, None, cloud.now, cloud.token)).record(run_key(RUN, "note"), Outcome({}))
    return Ledger(cloud.state, Author("cli", None, None, cloud.now, cloud.token))


def test_every_bar_has_its_times(ledger: Ledger) -> None:
    times = {
        bar.name: [(each - START).total_seconds() for each in (bar.since, bar.began, bar.ended)]
        for bar in bars(ledger, RUN)
    }
    assert times == {
        "window": [0, 1, 2],
        "job-1": [2, 2, 3],
        "training job": [3, 5, 10],
        "decision": [10, 11, 12],
        "staging": [12, 12, 13],
        "deployment for staging": [13, 13, 18],
        "staged": [18, 20, 21],
        "rollout": [21, 21, 22],
        "shifted/000001": [22, 22, 23],
        "canary watched at 5 %": [23, 23, 30],
        "steps/000002": [30, 30, 31],
        "shifted/000002": [31, 31, 32],
    }


def test_the_sums_tell_work_from_waiting(ledger: Ledger) -> None:
    assert summary(bars(ledger, RUN)) == (
        "32.0 s in all; functions at work 9.0 s, events under way 4.0 s, the cloud 10.0 s, "
        "waiting for its machines 2.0 s, watched 7.0 s"
    )


def test_a_bar_stands_where_its_time_was(ledger: Ledger) -> None:
    pictures = {name: picture for name, _, picture, _ in drawn(bars(ledger, RUN), 32)}
    assert pictures["decision"] == f"{' ' * 10}░██".ljust(32)
    assert pictures["training job"] == f"{' ' * 3}{'░' * 2}{'▒' * 6}".ljust(32)
    assert {len(picture) for picture in pictures.values()} == {32}


def test_a_program_gets_times_and_seconds(ledger: Ledger) -> None:
    (decision,) = [to_json(bar) for bar in bars(ledger, RUN) if bar.name == "decision"]
    assert (decision["waiting_seconds"], decision["working_seconds"], decision["kind"]) == (1, 1, "function")
    assert datetime.fromisoformat(decision["began"]) == after(11)


def test_a_moment_is_drawn_too() -> None:
    (row,) = drawn([Bar("a", "f", "function", START, START, START)], 20)
    assert row[2] == "█".ljust(20)


def test_a_run_that_never_was_is_bad_input(ledger: Ledger) -> None:
    with pytest.raises(BadInput, match="there is no run"):
        bars(ledger, RunId("digits-000009"))
