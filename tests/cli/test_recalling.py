"""Events that no record keeps are made again of the record that they led to, wherever that holds them whole."""

from typing import Any

import pytest

from cli.rehearsal import Rehearsed, rehearse
from cli.replaying import Wanted, chosen
from shared.envelope import Envelope
from shared.events import ApprovalRequested, Notification
from shared.ledger import Author, Ledger, Origin, Outcome, run_key
from tests.functions.standing_rollout import MODEL, under_way
from tests.functions.standing_run import RUN, event, ledger, open_run, record
from tests.shared.stored_ledger import opened
from tests.world.cloud import START, MemoryCloud
from tests.world.running import send

NOTICE = Notification(model=MODEL, title="digits: look at this")
ALL = Wanted(since="2000-01-01")


@pytest.fixture(scope="module")
def demo() -> MemoryCloud:
    """What a demo has left: three runs that were served, and a rejected one."""
    cloud = MemoryCloud()
    cloud.state._generations = opened("demo-2026-11").store._generations  # type: ignore[attr-defined]
    return cloud


def asked(cloud: MemoryCloud, *approvers: str) -> None:
    open_run(cloud)
    question = ApprovalRequested(
        model=MODEL, run=RUN, artefacts="gs://artefacts/x/", digest="d" * 64, score=60, reasons=(), approvers=approvers,
        expires=START.replace(year=2027),
    )  # fmt: skip
    record(cloud, "decision", {"verdict": "ask"}, question)


def recalled(cloud: MemoryCloud, said: Envelope, wanted: Wanted | None = None) -> Envelope:
    cloud.state.put("settings/digits/00000000000000000001", b"{}")
    found = chosen(ledger(cloud), wanted or Wanted(run=RUN))
    (same,) = [each for each in found if each.id == said.id]
    return same


def same(one: Envelope, other: Envelope) -> bool:
    return (one.id, one.time, one.topic, one.payload) == (other.id, other.time, other.topic, other.payload)


@pytest.mark.parametrize("run", ["digits-000001", "digits-000002", "digits-000003", "digits-000004"])
def test_todays_rubric_can_be_asked_about_every_decision_that_stands(demo: MemoryCloud, run: str) -> None:
    (evaluated,) = chosen(ledger(demo), Wanted(run=run, topic="evaluation-completed"))
    (found,) = rehearse(demo, evaluated)
    assert (found.function, found.differences) == ("decide_deployment", ("as then",))


def test_what_comes_later_is_not_there_when_an_earlier_event_is_rehearsed(demo: MemoryCloud) -> None:
    """Not even as the folder of a rollout, by which the newest one is found."""
    (request,) = chosen(ledger(demo), Wanted(run="digits-000002", topic="training-requested"))
    (found,) = rehearse(demo, request)
    assert "vertex.create_job" in found.today


def test_an_event_that_was_kept_is_told_as_it_was_kept(demo: MemoryCloud) -> None:
    found = chosen(ledger(demo), Wanted(topic="rollback-requested"))
    assert sorted(each.source for each in found) == ["//serin/ledger", "//serin/monitor_canary"]


def test_an_evaluation_is_told_as_it_was_said() -> None:
    """With the whole name of the job, of which the job itself knows the number."""
    job = "projects/p/locations/us-central1/customJobs/1701"
    cloud, said = MemoryCloud(), event("evaluation-completed", job=job)
    open_run(cloud)
    record(cloud, "job-1", {"job": job, "attempt": 1, "output": "gs://artefacts/digits/digits-000002/1"})
    assert send(cloud, "decide_deployment", said) == 200
    assert same(recalled(cloud, said), said)


def test_an_answer_is_told_as_it_was_said() -> None:
    cloud, said = MemoryCloud(), event("approval-answered")
    asked(cloud)
    assert send(cloud, "record_approval", said) == 200
    assert same(recalled(cloud, said), said)


def test_an_answer_that_did_not_count_is_told_as_it_was_said() -> None:
    cloud, said = MemoryCloud(), event("approval-answered", by="eve@example.org")
    asked(cloud, "ada@example.org")
    assert send(cloud, "record_approval", said) == 200
    assert same(recalled(cloud, said), said)


def waiting() -> MemoryCloud:
    cloud = MemoryCloud()
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n[threshold]\nat_least = 5\n')
    ledger(cloud).record("schemas/digits", Outcome({"columns": {"p0": "number", "digit": "text"}}))
    upload = {"id": "a", "bucket": "data", "name": "data/digits/a.csv", "generation": 1, "content": "c", "rows": 5}
    ledger(cloud).record("pending/digits/000001/a", Outcome(upload), {"rows": "5"})
    cloud.pass_time(1)
    return cloud


@pytest.mark.parametrize(
    "changes",
    [{"window": 1}, {"window": None, "request": "r1", "reason": "person", "by": "ada", "because": "new rows"}],
)
def test_a_request_for_training_is_told_as_it_was_said(changes: dict[str, Any]) -> None:
    cloud, said = waiting(), event("training-requested", **changes)
    assert send(cloud, "launch_training", said) == 200
    cloud.pass_time(1)
    found = recalled(cloud, said, Wanted(run="digits-000001"))
    assert same(found, said)
    (rehearsed,) = rehearse(cloud, found)
    assert not [each for each in rehearsed.differences if "windows/" in each or each == "new"]


def test_a_request_to_go_back_is_told_as_it_was_said() -> None:
    cloud, said = under_way(25), event("rollback-requested")
    assert send(cloud, "roll_back", said) == 200
    cloud.pass_time(1)
    found = recalled(cloud, said)
    assert same(found, said)
    (rehearsed,) = rehearse(cloud, found)
    assert rehearsed.differences != ("new",)


def test_the_evidence_of_a_canary_is_told_only_where_it_is_asked_for() -> None:
    cloud, said = under_way(25), event("evidence-reported")
    assert send(cloud, "monitor_canary", said) == 200
    for wanted in (Wanted(run=RUN, topic="evidence-reported"), Wanted(topic="evidence-reported")):
        assert same(recalled(cloud, said, wanted), said)
    assert [each.topic for each in chosen(ledger(cloud), Wanted(run=RUN))] == ["traffic-requested"]


def test_a_record_that_does_not_hold_all_of_it_tells_nothing() -> None:
    """As an earlier version may have left it."""
    cloud = MemoryCloud()
    open_run(cloud)
    heard = Author("decide_deployment", "e", None, cloud.now, cloud.token, Origin("e", None, cloud.now()))
    Ledger(cloud.state, heard).record(run_key(RUN, "decision"), Outcome({"verdict": "deploy"}))
    assert chosen(ledger(cloud), Wanted(run=RUN)) == []


@pytest.mark.parametrize(
    "key",
    [
        "channels/mail/down/2026-01-01", "dead-letters/ab/000000", "drift/digits/runs/digits-000002/periods/000000000",
        "outcomes/digits/b1", "refused/check_rows/ab", "requests/digits/r1", "rollouts/digits/000009/opened",
        "scores/digits/u1/end", "settings-notices/digits/00000000000000000001", "uploads/digits/u1",
    ],
)  # fmt: skip
def test_what_was_said_outside_of_runs_is_told_too(key: str) -> None:
    cloud = MemoryCloud()
    kept = ledger(cloud).record(key, Outcome({}, (NOTICE,)))
    (said,) = kept.events
    for wanted in (ALL, Wanted(model="digits"), Wanted(topic="notifications")):
        assert recalled(cloud, said, wanted) == said
    assert chosen(ledger(cloud), Wanted(model="flowers")) == []


def test_the_verdicts_on_a_runs_drift_are_told_with_it() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    kept = ledger(cloud).record(f"drift/digits/runs/{RUN}/periods/000000000001", Outcome({}, (NOTICE,)))
    assert recalled(cloud, kept.events[0]) == kept.events[0]


def test_what_drift_was_made_of_is_found_when_evidence_is_rehearsed() -> None:
    cloud, said = under_way(25), event("evidence-reported")
    cloud.pass_time(1)
    assert send(cloud, "detect_drift", said) == 200
    cloud.pass_time(1)
    found: dict[str, Rehearsed] = {each.function: each for each in rehearse(cloud, said)}
    assert found["detect_drift"].differences == ("as then",)
