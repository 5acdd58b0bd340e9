"""Evidence kept by period, one verdict a period, said once, and training asked for within reason."""

import hashlib
import json
from typing import Any

import pytest

from shared.distributions import Spread, baseline_json
from shared.envelope import Envelope
from shared.errors import Transient
from shared.events import DriftDetected, EvidenceReported, Notification, TrainingRequested
from shared.ids import ModelName, RunId
from shared.ledger import Outcome, rollout_key
from shared.settings import object_name
from tests.functions.standing_run import RUN, keys, ledger, open_run, published, record
from tests.world.cloud import START, MemoryCloud
from tests.world.running import send, settle

MODEL = ModelName("digits")
SPREADS = {"x": Spread((0.0, 1.0), (100, 200, 300, 0))}
BASELINE = baseline_json(SPREADS, {})
BASELINE_ID = hashlib.sha256(BASELINE).hexdigest()[:16]
PLACE = f"gs://artefacts/{MODEL}/{RUN}/1/model/"
MINUTE, HOUR = 60.0, 3600.0
FIRST = int(START.timestamp() // HOUR)
ALIKE, MOVED = (10, 20, 30, 0), (40, 20, 0, 0)


@pytest.fixture
def cloud() -> MemoryCloud:
    return live()


def live(baseline: bytes | None = BASELINE, **drift: Any) -> MemoryCloud:
    cloud = MemoryCloud()
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in drift.items())
    cloud.data.put(object_name(MODEL), f'[data]\ntarget = "digit"\n[drift]\n{lines}\n'.encode())
    open_run(cloud, drift=drift)
    record(cloud, "decision", {"evaluation": {"challenger": {"accuracy": 0.96}, "rows_judged": 500}})
    candidate = {"id": "2", "version": "v", "run": RUN, "artefacts": PLACE}
    book = ledger(cloud)
    book.record(rollout_key(MODEL, 1, "opened"), Outcome({"candidate": candidate, "base": None, "steps": [100]}))
    book.record(rollout_key(MODEL, 1, "shifted/000001"), Outcome({"percent": 100, "split": {"2": 100}}))
    if baseline is not None:
        cloud.artefacts.put(f"{MODEL}/{RUN}/1/model/baseline.json", baseline)
    return cloud


def report(minute: int, counts: tuple[int, ...], run: RunId = RUN, **changes: Any) -> Envelope:
    """What one replica saw in a minute since the beginning."""
    seen = {
        "model": MODEL, "run": run, "endpoint": f"serin-{MODEL}", "deployed_model": "2", "reporter": "r",
        "interval": int(START.timestamp() // MINUTE) + minute, "report_seconds": MINUTE, "requests": sum(counts),
        "rows": sum(counts), "baseline": BASELINE_ID, "features": {"x": counts}, **changes,
    }  # fmt: skip
    return Envelope(f"r/{minute}/{run}", "//serving", START, EvidenceReported.model_validate(seen))


def hour(cloud: MemoryCloud, number: int, counts: tuple[int, ...], **changes: Any) -> None:
    for minute in range(number * 60, number * 60 + 60):
        assert send(cloud, "detect_drift", report(minute, counts, **changes)) == 200


def verdicts(cloud: MemoryCloud) -> dict[int, Any]:
    found = keys(cloud, f"drift/{MODEL}/runs/{RUN}/periods/")
    return {int(key[-12:]) - FIRST: json.loads(cloud.state.read(key) or b"")["data"] for key in found}


def test_an_hour_is_judged_when_the_next_is_under_way(cloud: MemoryCloud) -> None:
    hour(cloud, 0, ALIKE)
    assert verdicts(cloud) == {-1: verdicts(cloud)[-1]}
    assert verdicts(cloud)[-1]["verdict"] == "not enough data"
    for minute in (60, 61):
        send(cloud, "detect_drift", report(minute, ALIKE))
    assert 0 not in verdicts(cloud)
    send(cloud, "detect_drift", report(62, ALIKE))
    assert (verdicts(cloud)[0]["verdict"], verdicts(cloud)[0]["rows"]) == ("stable", 3600)
    assert published(cloud) == []


def test_drift_is_said_once_with_a_picture_of_what_drives_it(cloud: MemoryCloud) -> None:
    hour(cloud, 0, MOVED)
    for minute in (60, 61, 62):
        send(cloud, "detect_drift", report(minute, MOVED))
    detected, notice = [each.payload for each in cloud.bus.events()]
    settle(cloud, lambda function: function == "notify")
    for minute in range(63, 120):
        send(cloud, "detect_drift", report(minute, MOVED))
    hour(cloud, 2, MOVED)
    assert published(cloud) == []
    assert isinstance(detected, DriftDetected)
    assert isinstance(notice, Notification)
    assert (detected.columns, detected.accuracy, detected.run) == (("x",), False, RUN)
    assert detected.numbers["psi"]["x"] > 0.2
    assert notice.why[-1] == "x  then ▂▄▆   now █▄  "
    assert {each["verdict"] for number, each in verdicts(cloud).items() if number >= 0} == {"drifting"}


def test_the_hours_before_count_too(cloud: MemoryCloud) -> None:
    hour(cloud, 0, ALIKE)
    hour(cloud, 1, MOVED)
    hour(cloud, 2, MOVED)
    assert verdicts(cloud)[1]["rows"] == 7200
    assert verdicts(cloud)[0]["verdict"] == "stable"


def test_labels_alone_tell_of_drift_too(cloud: MemoryCloud) -> None:
    labels = {"labelled": 20, "wrong": 4, "baseline": None, "features": {}}
    hour(cloud, 0, (0, 0, 0, 0), **labels)
    hour(cloud, 1, (0, 0, 0, 0), **labels)
    detected, notice = published(cloud)[:2]
    assert isinstance(detected, DriftDetected)
    assert (detected.columns, detected.accuracy) == ((), True)
    assert isinstance(notice, Notification)
    assert "right less often" in notice.title


def test_training_is_asked_for_where_the_settings_say_so_and_not_again_within_the_cool_down() -> None:
    cloud = live(retrain=True, cool_down_hours=4.0, periods=1)
    asked = []
    for number in range(8):
        hour(cloud, number, MOVED if number % 2 == 0 else ALIKE)
        asked += [(number, event) for event in published(cloud) if isinstance(event, TrainingRequested)]
    assert sorted({number for number, _ in asked}) == [1, 5]
    assert {(event.reason, event.by) for _, event in asked} == {("drift", "detect_drift")}
    assert len({event.request for _, event in asked}) == 2


def test_a_verdict_whose_publishing_failed_is_said_when_its_delivery_comes_again(cloud: MemoryCloud) -> None:
    hour(cloud, 0, MOVED)
    for minute in (60, 61):
        send(cloud, "detect_drift", report(minute, MOVED))
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "timeout")
    assert send(cloud, "detect_drift", report(62, MOVED)) == 500
    assert send(cloud, "detect_drift", report(62, MOVED)) == 200
    assert [type(event) for event in published(cloud)] == [DriftDetected, Notification]


def test_a_verdict_whose_delivery_was_given_up_is_said_by_the_next_reports_until_people_hear_it() -> None:
    cloud = live(retrain=True)
    hour(cloud, 0, MOVED)
    for minute in (60, 61):
        send(cloud, "detect_drift", report(minute, MOVED))
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "timeout")
    assert send(cloud, "detect_drift", report(62, MOVED)) == 500
    assert send(cloud, "detect_drift", report(63, MOVED)) == 200
    assert [type(each.payload) for each in cloud.bus.events()] == [DriftDetected, TrainingRequested, Notification]
    settle(cloud, lambda function: function == "notify")
    assert send(cloud, "detect_drift", report(64, MOVED)) == 200
    assert published(cloud) == []


def test_a_report_counts_once_however_often_it_comes(cloud: MemoryCloud) -> None:
    for _ in range(2):
        hour(cloud, 0, ALIKE)
    send(cloud, "detect_drift", report(62, ALIKE))
    assert verdicts(cloud)[0]["rows"] == 3600


def test_what_is_not_in_production_is_not_judged(cloud: MemoryCloud) -> None:
    other = RunId("digits-000003")
    open_run(cloud, run=other)
    send(cloud, "detect_drift", report(62, MOVED, run=other))
    send(cloud, "detect_drift", report(62, MOVED, endpoint=f"serin-{MODEL}-staging"))
    assert keys(cloud, f"drift/{MODEL}/runs/{other}/periods/") == []
    assert verdicts(cloud) == {}


@pytest.mark.parametrize("content", [None, b"not a baseline"])
def test_without_a_baseline_there_is_not_enough_data(content: bytes | None) -> None:
    cloud = live(baseline=content)
    hour(cloud, 0, MOVED, baseline=None)
    hour(cloud, 1, MOVED, baseline=None)
    assert verdicts(cloud)[0]["verdict"] == "not enough data"
