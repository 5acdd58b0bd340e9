"""Events are said again, or what functions would do with them today is told without doing it; a run is made anew."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.rehearsal import Rehearsed, rehearse
from cli.replaying import Wanted, chosen, new_run
from shared.envelope import Envelope, decode
from shared.errors import BadInput
from shared.events import DeploymentApproved, EvaluationCompleted, Notification
from shared.ids import RunId
from shared.ledger import Outcome, run_key, window_key
from tests.faults.world import digest
from tests.functions.standing_run import EVENTS, RUN, event, keys, ledger, open_run, published, record
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, send, settle, tick

JOB = "projects/p/locations/us-central1/customJobs/1701"


@pytest.fixture
def decided() -> MemoryCloud:
    """A run that was decided; its decision was announced."""
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "job-1", {"job": JOB, "attempt": 1, "output": "gs://artefacts/digits/digits-000002/1"})
    cloud.pass_time(60)
    assert send(cloud, "decide_deployment", event("evaluation-completed")) == 200
    cloud.pass_time(60)
    return cloud


def rehearsed(cloud: MemoryCloud, envelope: Envelope) -> Rehearsed:
    """What the one function that hears the event would do; nothing of the world is changed by asking."""
    before, said = digest(cloud), len(cloud.bus.history)
    (found,) = rehearse(cloud, envelope)
    assert (digest(cloud), len(cloud.bus.history)) == (before, said)
    return found


def test_a_decision_would_be_taken_again_as_it_was(decided: MemoryCloud) -> None:
    found = rehearsed(decided, event("evaluation-completed"))
    assert (found.function, found.differences) == ("decide_deployment", ("as then",))
    assert found.today == "says deployment-approved, says notifications"


def test_a_decision_that_would_come_out_otherwise_is_told_with_both_numbers() -> None:
    """As if the rubric had been another one then: the record that stands says so."""
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "job-1", {"job": JOB, "attempt": 1, "output": "gs://artefacts/digits/digits-000002/1"})
    kept, then = event("evaluation-completed"), MemoryCloud()
    open_run(then)
    record(then, "job-1", data_of(cloud, run_key(RUN, "job-1")))
    send(then, "decide_deployment", kept)
    stands = json.loads(then.state.read(run_key(RUN, "decision")) or b"")
    stands["data"]["card"]["total"], stands["data"]["verdict"] = 61, "ask"
    cloud.pass_time(60)
    cloud.state.put(run_key(RUN, "decision"), json.dumps(stands).encode())
    found = rehearsed(cloud, kept)
    place = "runs/digits/000002/decision"
    assert f"{place}.card.total: 61, today 100" in found.differences
    assert f'{place}.verdict: "ask", today "deploy"' in found.differences


def test_an_event_that_nobody_has_handled_is_told_as_new() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "job-1", {"job": JOB, "attempt": 1, "output": "gs://artefacts/digits/digits-000002/1"})
    assert rehearsed(cloud, event("evaluation-completed")).differences == ("new",)


def test_an_event_that_no_function_hears_is_told_as_such() -> None:
    cloud = MemoryCloud()
    assert rehearsed(cloud, event("model-promoted")).function == "nobody"


def test_an_event_that_would_be_put_off_says_why() -> None:
    cloud = MemoryCloud()
    found = rehearsed(cloud, event("evaluation-completed"))
    assert found.today == "puts it off: not yet: runs/digits/000002/job-1"


def test_what_would_be_ordered_is_named_and_not_ordered() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    waiting = {"run": RUN, "rows": 5, "uploads": [], "request": {"reason": "threshold"}}
    settings = data_of(cloud, window_key(*("digits", 2)))["settings"]  # type: ignore[arg-type]
    ledger(cloud).record("windows/digits/000009", Outcome({**waiting, "run": "digits-000009", "settings": settings}))
    found = rehearsed(cloud, event("training-requested", window=9))
    assert (found.today, cloud.vertex.orders) == ("vertex.create_job", [])


def test_nobody_is_told_twice_by_asking_what_would_be_told(tmp_path: Path) -> None:
    notices = tmp_path / "notices.txt"
    cloud = MemoryCloud({"SERIN_NOTIFY_URLS": notices.as_uri()})
    assert send(cloud, "notify", event("notifications")) == 200
    told = notices.read_text()
    cloud.pass_time(60)
    found = rehearsed(cloud, event("notifications"))
    assert (found.function, found.today, found.differences) == ("notify", "notify.send", ("as then",))
    assert notices.read_text() == told


def test_replayed_events_change_nothing(decided: MemoryCloud) -> None:
    before = {key: decided.state.read(key) for key in keys(decided)}
    said = {message.attributes["ce-id"] for _, message in decided.bus.take()}
    for _ in range(3):
        assert send(decided, "decide_deployment", event("evaluation-completed")) == 200
    assert {message.attributes["ce-id"] for _, message in decided.bus.take()} == said
    assert {key: decided.state.read(key) for key in keys(decided)} == before


def test_events_are_chosen_by_run_model_type_and_time(decided: MemoryCloud) -> None:
    decided.state.put("settings/digits/00000000000000000001", b"{}")
    book = ledger(decided)
    every = chosen(book, Wanted(run=RUN))
    assert [envelope.topic for envelope in every] == ["evaluation-completed", "deployment-approved", "notifications"]
    assert [each.topic for each in chosen(book, Wanted(topic="notifications"))] == ["notifications"]
    assert chosen(book, Wanted(model="digits")) == every
    assert chosen(book, Wanted(run=RUN, model="flowers")) == []
    moment = every[0].time
    assert chosen(book, Wanted(since=moment.isoformat())) == every
    assert chosen(book, Wanted(until=moment.isoformat())) == []
    later = every[-1].time + timedelta(seconds=1)
    assert chosen(book, Wanted(since=later.isoformat())) == []


def test_events_of_a_file_are_those_of_its_lines(tmp_path: Path, decided: MemoryCloud) -> None:
    file = tmp_path / "events.jsonl"
    kept = json.loads((EVENTS / "smoke-passed.json").read_text())
    file.write_text(f"{json.dumps(kept)}\n\n{json.dumps(kept)}\n")
    assert [each.topic for each in chosen(ledger(decided), Wanted(file=file))] == ["smoke-passed"]


@pytest.mark.parametrize(
    "wanted",
    [Wanted(topic="no-topic"), Wanted(run=RUN, since="yesterday"), Wanted(run="x"), Wanted(run="digits-000099")],
)
def test_what_is_not_meant_is_refused(wanted: Wanted, decided: MemoryCloud) -> None:
    with pytest.raises(BadInput):
        chosen(ledger(decided), wanted)


def test_what_tail_prints_is_an_event_of_a_file_too(tmp_path: Path, decided: MemoryCloud) -> None:
    said, file = event("notifications"), tmp_path / "events.jsonl"
    file.write_text(json.dumps({"attributes": said.attributes(), "data": said.data().decode()}) + "\n")
    assert chosen(ledger(decided), Wanted(file=file)) == [said]


NAIVE = {**event("notifications").attributes(), "ce-time": "2026-01-01T00:00:00"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("not json", "holds no event"),
        ("[1]", "holds no event"),
        ('{"attributes": [], "data": {}}', "holds no event"),
        ('{"attributes": null, "data": {}}', "holds no event"),
        ('{"attributes": {}}', "holds no event"),
        ('{"attributes": {}, "data": {}}', "attribute ce-id is missing"),
        (json.dumps({"attributes": NAIVE, "data": {"model": "digits", "title": "x"}}), "attribute ce-time has no zone"),
    ],
)
def test_a_line_without_an_event_is_told_by_its_number(
    line: str, why: str, tmp_path: Path, decided: MemoryCloud
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(f"{json.dumps(event('smoke-passed').to_json())}\n\n{line}\n")
    with pytest.raises(BadInput) as refused:
        chosen(ledger(decided), Wanted(file=file))
    assert refused.value.reasons[0].startswith(f"line 3: {why}")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, decided: MemoryCloud) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "x", tmp_path / "none"):
        with pytest.raises(BadInput, match="cannot be read"):
            chosen(ledger(decided), Wanted(file=path))


def with_a_closed_window() -> MemoryCloud:
    cloud = MemoryCloud()
    open_run(cloud)
    kept = data_of(cloud, "windows/digits/000002")
    more = {"rows": 5, "champion": None, "request": {"reason": "threshold"}, "settings_generation": 7}
    cloud.state.delete("windows/digits/000002")
    ledger(cloud).record("windows/digits/000002", Outcome({**kept, **more}))
    return cloud


def trained(cloud: MemoryCloud, run: RunId) -> EvaluationCompleted:
    kept = event("evaluation-completed").payload
    assert isinstance(kept, EvaluationCompleted)
    model = run.rpartition("-")[0]
    job = data_of(cloud, f"runs/{model}/000001/job-1")
    return kept.model_copy(update={
        "model": model, "run": run, "job": job["job"], "artefacts": f"{job['output']}/model/",
    })  # fmt: skip


def test_a_run_made_anew_is_trained_and_judged_and_ends_before_it_is_staged() -> None:
    cloud = with_a_closed_window()
    run = new_run(cloud, RUN, "ada@example.org")
    assert run == "test-of-digits-000001"
    settle(cloud)
    (order,) = cloud.vertex.orders
    assert order.labels["serin-run"] == run
    window = data_of(cloud, "windows/test-of-digits/000001")
    assert (window["test_of"], window["rows"], window["uploads"]) == (RUN, 5, [])
    evaluated = trained(cloud, run)
    assert send(cloud, "decide_deployment", Envelope("e", "//t", cloud.now(), evaluated)) == 200
    (notice,) = [payload for payload in published(cloud) if not isinstance(payload, DeploymentApproved)]
    assert isinstance(notice, Notification)
    assert notice.title.startswith("test-of-digits-000001: test run over, deploy: ")
    end = data_of(cloud, "runs/test-of-digits/000001/end")
    assert (end["outcome"], end["reasons"][0]) == ("tested", "a test run: nothing is deployed")


def test_nothing_of_a_test_run_is_deployed_whoever_approves_it() -> None:
    cloud = with_a_closed_window()
    run = new_run(cloud, RUN, "ada@example.org")
    settle(cloud)
    send(cloud, "decide_deployment", Envelope("e", "//t", cloud.now(), trained(cloud, run)))
    forged: Any = event("deployment-approved").payload.model_copy(update={"model": "test-of-digits", "run": run})
    assert send(cloud, "stage_model", Envelope("f", "//t", cloud.now(), forged)) == 200
    for _ in range(3):
        tick(cloud)
        settle(cloud)
        cloud.pass_time(600)
    assert (cloud.vertex.uploads, cloud.vertex._endpoints) == ([], {})
    said = [decode(message).payload for _, message in cloud.bus.history if "ce-id" in message.attributes]
    assert not [payload for payload in said if isinstance(payload, DeploymentApproved) and payload is not forged]


def test_a_test_runs_lost_end_is_made_by_the_clock() -> None:
    cloud = with_a_closed_window()
    run = new_run(cloud, RUN, "ada@example.org")
    settle(cloud)
    send(cloud, "decide_deployment", Envelope("e", "//t", cloud.now(), trained(cloud, run)))
    cloud.state.delete("runs/test-of-digits/000001/end")
    tick(cloud)
    settle(cloud)
    assert data_of(cloud, "runs/test-of-digits/000001/end")["outcome"] == "tested"


def test_the_original_run_is_left_as_it_was_and_a_test_run_is_not_made_of_a_test_run() -> None:
    cloud = with_a_closed_window()
    before = {key: cloud.state.read(key) for key in keys(cloud)}
    first = new_run(cloud, RUN, "ada@example.org")
    assert {key: cloud.state.read(key) for key in before} == before
    ledger(cloud).record("runs/test-of-digits/000001/end", Outcome({"outcome": "tested"}))
    assert new_run(cloud, RUN, "ada@example.org") == "test-of-digits-000002"
    with pytest.raises(BadInput, match="a test run itself"):
        new_run(cloud, first, "ada@example.org")


def test_of_two_people_who_open_a_test_run_at_once_each_is_told_his_own() -> None:
    cloud = with_a_closed_window()
    kept = data_of(cloud, "windows/digits/000002")
    ledger(cloud).record("windows/digits/000001", Outcome({**kept, "run": "digits-000001"}))
    ledger(cloud).record("settings/test-of-digits/00000000000000000007", Outcome({}))
    told: list[RunId] = []
    # Bob's is opened between Ada's look and Ada's record.
    cloud.door.meanwhile["storage.create"] = lambda: told.append(new_run(cloud, RunId("digits-000001"), "bob"))
    told.insert(0, new_run(cloud, RUN, "ada"))
    tests = [data_of(cloud, f"windows/test-of-digits/{run[-6:]}") for run in told]
    assert [(each["test_of"], each["request"]["by"]) for each in tests] == [(RUN, "ada"), ("digits-000001", "bob")]
