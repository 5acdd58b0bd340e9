"""Acts 5 to 7 in one process, after acts 1 to 4 have made what they need: real functions, training, serving, judge."""

from typing import TypeVar

import pytest

from cli.demo.stage import MODEL
from cli.replaying import Wanted, chosen
from shared.events import (
    DeploymentApproved,
    DeploymentRejected,
    Event,
    ModelPromoted,
    Notification,
    RollbackRequested,
    RolledBack,
    TrafficShifted,
    TrainingRequested,
)
from tests.e2e.searching import found, objects, receipt_keys
from tests.e2e.theatre import Theatre
from tests.functions.standing_run import ledger
from tests.world.running import data_of

E = TypeVar("E", bound=Event)


def only(kind: type[E], events: list[Event]) -> E:
    (found,) = {event.model_dump_json(): event for event in events if isinstance(event, kind)}.values()
    return found


@pytest.fixture(scope="module")
def theatre() -> Theatre:
    return Theatre(seed=1)


@pytest.mark.timeout(300)
def test_acts_1_to_4_with_a_model_that_is_trained_and_served_on_cloud_run() -> None:
    theatre = Theatre(seed=1, backend="cloud_run")
    first_model(theatre)
    canary_and_rollback(theatre)
    assert not theatre.cloud.vertex.orders
    assert theatre.cloud.vertex.endpoint("serin-digits") is None


@pytest.mark.timeout(300)
def test_the_story_from_act_1_to_act_7(theatre: Theatre, capsys: pytest.CaptureFixture[str]) -> None:
    first_model(theatre)
    canary_and_rollback(theatre)
    unreadable_file(theatre)
    shuffled_labels(theatre)
    exchanged_labels(theatre)
    replay_changes_nothing(theatre)
    every_run_was_decided_once(theatre)
    what_the_cloud_did_is_in_the_trace(theatre)
    the_key_of_the_receipts_is_nowhere_else(theatre, "".join(capsys.readouterr()))


def the_key_of_the_receipts_is_nowhere_else(theatre: Theatre, logged: str) -> None:
    """Neither in records and artefacts, nor in events, evidence and notices, nor in what was ordered and logged."""
    cloud, said = theatre.cloud, theatre.cloud.bus.history
    keys = receipt_keys(cloud.state)
    assert found(keys, [("planted", b"the key is " + keys[1])]) == ["planted"]
    assert any(topic == "evidence-reported" for topic, _ in said)
    assert '"published"' in logged
    told = [(topic, message.data + repr(message.attributes).encode()) for topic, message in said]
    ordered = [("orders", repr((cloud.vertex.orders, cloud.vertex.uploads, cloud.spans.exported)).encode())]
    everything = [*objects((cloud.state, cloud.artefacts)), *told, *ordered, ("logs", logged.encode())]
    assert found(keys, everything) == []


def first_model(theatre: Theatre) -> None:
    few = theatre.drop(theatre.story.act(1))
    assert not any(isinstance(event, TrainingRequested) for event in few)
    enough = theatre.drop(theatre.story.act(2))
    assert only(ModelPromoted, enough).run == "digits-000001"
    assert theatre.split() == {"1": 100}


def canary_and_rollback(theatre: Theatre) -> None:
    theatre.drop(theatre.story.act(3))
    assert theatre.split() == {"2": 5, "1": 95}
    shifted = theatre.traffic(120, until=lambda _: theatre.split() == {"2": 100})
    assert [event.percent for event in shifted if isinstance(event, TrafficShifted)] == [5, 25, 50, 100]
    left = theatre.say(RollbackRequested(model=MODEL, rollout=2, by="ada@example.org", because="I say so"))
    assert only(RolledBack, left).by == "ada@example.org"
    assert theatre.split() == {"1": 100}


def unreadable_file(theatre: Theatre) -> None:
    records = theatre.cloud.state.keys()
    told = theatre.drop(theatre.story.act(5))
    notice = only(Notification, told)
    assert {"missing-column", "wrong-width", "not-a-number", "missing-target"} <= {
        reason.split(":")[0] for reason in notice.why
    }
    assert "rejected" in notice.title
    new = sorted(set(theatre.cloud.state.keys()) - set(records))
    assert [key.split("/")[0] for key in new] == ["notices", "uploads"]


def shuffled_labels(theatre: Theatre) -> None:
    theatre.drop(theatre.story.act(6))
    wish = TrainingRequested(model=MODEL, reason="person", request="act-6", by="ada@example.org", because="try it")
    rejected = only(DeploymentRejected, theatre.say(wish))
    assert rejected.set_aside
    assert rejected.score < 50
    assert data_of(theatre.cloud, "runs/digits/000003/end")["set_aside"]
    assert theatre.split() == {"1": 100}


def exchanged_labels(theatre: Theatre) -> None:
    approved = only(DeploymentApproved, theatre.drop(theatre.story.act(7)))
    assert approved.score >= 70
    trained_on = data_of(theatre.cloud, "windows/digits/000004")["earlier"]
    assert [upload["name"].split("/")[-1][:4] for upload in trained_on] == ["act1", "act2", "act3"]
    assert theatre.split() == {"3": 5, "1": 95}
    left = only(
        RolledBack, theatre.traffic(90, until=lambda heard: any(isinstance(event, RolledBack) for event in heard))
    )
    assert (left.by, left.set_aside) == ("monitor_canary", True)
    assert left.numbers["canary_wrong"] > 0
    assert theatre.split() == {"1": 100}


def replay_changes_nothing(theatre: Theatre) -> None:
    book = ledger(theatre.cloud)
    events = chosen(book, Wanted(run="digits-000002"))
    evidence = chosen(book, Wanted(run="digits-000002", topic="evidence-reported"))
    before = theatre.lasting_records()
    theatre.again([*events, *evidence])
    assert {"evaluation-completed", "training-requested"} < {event.topic for event in events}
    assert len(events) > 10 and len(evidence) > 10
    assert theatre.lasting_records() == before
    assert theatre.split() == {"1": 100}


def every_run_was_decided_once(theatre: Theatre) -> None:
    decided = [key for key in theatre.lasting_records() if key.endswith("/decision")]
    assert len(decided) == len(theatre.cloud.vertex.orders) == 4


def what_the_cloud_did_is_in_the_trace(theatre: Theatre) -> None:
    spans = theatre.cloud.spans.exported
    by_id = {span.traceparent: span.name for span in spans}
    ordered_by = {
        span.name: by_id.get(span.parent or "") for span in spans if span.attributes.get("serin.run") == "digits-000002"
    }
    awaited = ("training job", "upload to the registry", "deployment for staging", "deployment of the canary")
    assert [ordered_by.get(name) for name in awaited] == [
        "launch_training", "stage_model", "stage_model", "deploy_canary",
    ]  # fmt: skip
