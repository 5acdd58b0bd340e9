"""A canary on its evidence: it goes on, it is rolled back, and a verdict rests on closed intervals alone."""

from collections.abc import Mapping

import pytest

from shared.envelope import Envelope, Message
from shared.events import EvidenceReported, RollbackRequested, TrafficRequested, TrafficShifted
from shared.ids import ModelName, RunId
from shared.ledger import Outcome
from shared.settings import parse
from tests.functions.monitor_canary.evidence_world import SETTINGS
from tests.functions.standing_run import ledger
from tests.world.cloud import START, MemoryCloud
from tests.world.running import data_of, deliver, send

MODEL, RUN = ModelName("digits"), RunId("digits-000002")
FIRST = int(START.timestamp())
FAST = {"10": 1}


def record(cloud: MemoryCloud, key: str, data: dict[str, object]) -> None:
    ledger(cloud).record(key, Outcome(data))


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    settings = parse(SETTINGS).model_dump(mode="json")
    record(made, "windows/digits/000002", {"run": RUN, "settings": settings, "uploads": []})
    base = {"id": "1", "version": "m@1", "run": "digits-000001", "artefacts": "gs://a/1"}
    candidate = {"id": "2", "version": "m@2", "run": RUN, "artefacts": "gs://a/2"}
    opened = {"run": RUN, "candidate": candidate, "base": base, "steps": [5, 100]}
    record(made, "rollouts/digits/000002/opened", opened)
    record(made, "rollouts/digits/000002/steps/000001", {"percent": 5})
    record(made, "rollouts/digits/000002/shifted/000001", {"percent": 5, "split": {"1": 95, "2": 5}})
    return made


def report(interval: int, deployed: str, requests: int, wrong_of: tuple[int, int], errors: int = 0) -> EvidenceReported:
    answered = requests - errors
    return EvidenceReported(
        model=MODEL,
        run=RUN,
        endpoint="serin-digits",
        deployed_model=deployed,
        reporter=f"reporter{deployed}",
        interval=interval,
        report_seconds=1,
        requests=requests,
        errors=errors,
        latency={key: count * answered for key, count in FAST.items()},
        labelled=wrong_of[1],
        wrong=wrong_of[0],
    )


def tell(cloud: MemoryCloud, event: EvidenceReported, name: str) -> None:
    assert send(cloud, "monitor_canary", Envelope(name, "//serin/serving", START, event)) == 200


def live_through(cloud: MemoryCloud, seconds: int, canary: Mapping[str, int], start: int = 0) -> None:
    """So many seconds in which production does well and the canary as told."""
    for second in range(start, start + seconds):
        interval = FIRST + second
        tell(cloud, report(interval, "1", 38, (38, 760)), f"p{second}")
        canary_report = report(interval, "2", 4, (canary["wrong"], 80), canary.get("errors", 0))
        tell(cloud, canary_report, f"c{second}")
        cloud.pass_time(1)


def said(cloud: MemoryCloud, kind: type) -> list[Envelope]:
    return [event for event in cloud.bus.events() if isinstance(event.payload, kind)]


def test_a_good_canary_is_given_its_next_step_once(cloud: MemoryCloud) -> None:
    live_through(cloud, 20, {"wrong": 4})
    asked = said(cloud, TrafficRequested)
    assert {event.id for event in asked} == {"rollouts/digits/000002/steps/000002#0"}
    payload = asked[0].payload
    assert isinstance(payload, TrafficRequested)
    assert (payload.step, payload.percent) == (2, 100)
    assert said(cloud, RollbackRequested) == []


def test_a_canary_that_answers_wrongly_is_rolled_back_and_its_rows_are_set_aside(cloud: MemoryCloud) -> None:
    live_through(cloud, 6, {"wrong": 32})
    (left, *_) = said(cloud, RollbackRequested)
    payload = left.payload
    assert isinstance(payload, RollbackRequested)
    assert payload.set_aside
    assert payload.numbers["canary_wrong"] * 80 == payload.numbers["canary_labelled"] * 32
    assert said(cloud, TrafficRequested) == []


def test_a_canary_that_fails_every_request_is_rolled_back_but_its_rows_are_not_to_blame(cloud: MemoryCloud) -> None:
    live_through(cloud, 6, {"wrong": 4, "errors": 4})
    payload = said(cloud, RollbackRequested)[0].payload
    assert isinstance(payload, RollbackRequested)
    assert not payload.set_aside


def test_reports_delivered_twice_count_once(cloud: MemoryCloud) -> None:
    for second in range(5):
        for _ in range(2):
            tell(cloud, report(FIRST + second, "1", 38, (38, 760)), f"p{second}")
            tell(cloud, report(FIRST + second, "2", 4, (4, 80)), f"c{second}")
        cloud.pass_time(1)
    kept = data_of(cloud, f"rollouts/digits/000002/intervals/{FIRST + 1:012d}")
    assert kept["canary"]["requests"] == 4


def test_a_late_report_is_kept_and_changes_no_verdict(cloud: MemoryCloud) -> None:
    live_through(cloud, 4, {"wrong": 4})
    key = f"rollouts/digits/000002/intervals/{FIRST + 1:012d}"
    before = data_of(cloud, key)
    late = report(FIRST + 1, "2", 400, (400, 400)).model_copy(update={"reporter": "late"})
    tell(cloud, late, "late")
    assert data_of(cloud, key) == before
    assert f"rollouts/digits/000002/reports/{FIRST + 1:012d}/canary/late" in set(cloud.state.keys())


def test_the_interval_in_which_traffic_changed_is_left_out(cloud: MemoryCloud) -> None:
    live_through(cloud, 4, {"wrong": 80})
    changed = data_of(cloud, f"rollouts/digits/000002/intervals/{FIRST:012d}")
    assert changed["canary"]["wrong"] == 80
    assert changed["state"]["tests"]["wrong"]["canary_units"] == 0


def test_a_silent_rollout_is_judged_by_the_clock_alone(cloud: MemoryCloud) -> None:
    live_through(cloud, 2, {"wrong": 4})
    cloud.pass_time(10)
    shifted = TrafficShifted(model=MODEL, run=RUN, rollout=2, step=1, percent=5, split={"1": 95, "2": 5})
    message = Envelope("again", "//serin/reconcile", START, shifted)
    body = Message(message.attributes(), message.data())
    assert deliver(cloud, "monitor_canary", "traffic-shifted", body) == 200
    assert len(cloud.state.entries("rollouts/digits/000002/intervals/")) == 11
