"""A canary on evidence for tests: reports of two arms, delivered in any order, twice, late, or by somebody who dies."""

from dataclasses import dataclass, field
from typing import Any

from shared.envelope import Envelope, Message
from shared.environment import using
from shared.errors import SerinError
from shared.events import EvidenceReported
from shared.ids import ModelName, RunId
from shared.ledger import Outcome, run_key
from shared.settings import parse
from tests.faults.deliveries import entry_point, pushed
from tests.functions.standing_run import ledger
from tests.world.cloud import START, MemoryCloud
from tests.world.running import data_of

MODEL, RUN = ModelName("digits"), RunId("digits-000002")
FIRST = int(START.timestamp())
SETTINGS = b"""
[data]
target = "digit"
[evidence]
report_seconds = 1
grace_intervals = 1
wrong_margin_points = 8
error_margin_points = 25
slow_margin_points = 25
slow_floor_seconds = 0.5
minimum_requests = 10
minimum_seconds = 3
label_starved_intervals = 5
[rollout]
bake_seconds = 120
"""
ROLLOUT = "rollouts/digits/000002"


@dataclass
class Canary:
    """Rollout 2 at 5 % since the first second; `tell` delivers a report."""

    cloud: MemoryCloud = field(default_factory=MemoryCloud)
    steps: tuple[int, ...] = (5, 100)
    task: str = "classification"

    def __post_init__(self) -> None:
        settings = parse(SETTINGS).model_dump(mode="json")
        self.record("windows/digits/000002", {"run": RUN, "settings": settings, "uploads": []})
        self.record(run_key(RUN, "decision"), {"evaluation": {"task": self.task}})
        base = {"id": "1", "version": "m@1", "run": "digits-000001", "artefacts": "gs://a/1"}
        candidate = {"id": "2", "version": "m@2", "run": RUN, "artefacts": "gs://a/2"}
        opened = {"run": RUN, "candidate": candidate, "base": base, "steps": list(self.steps)}
        self.record(f"{ROLLOUT}/opened", opened)
        self.shift(1, 5)

    def record(self, key: str, data: dict[str, Any]) -> None:
        ledger(self.cloud).record(key, Outcome(data))

    def shift(self, step: int, percent: int) -> None:
        self.record(f"{ROLLOUT}/steps/{step:06d}", {"percent": percent})
        split = {"1": 100 - percent, "2": percent}
        self.record(f"{ROLLOUT}/shifted/{step:06d}", {"percent": percent, "split": split})

    def tell(self, event: EvidenceReported, name: str = "") -> int:
        told = name or f"{event.deployed_model}/{event.reporter}/{event.interval}"
        return push(self.cloud, Envelope(told, "//serin/serving", START, event))

    def second(self, number: int, **canary: int) -> None:
        """One interval in which production does well, and the canary as told."""
        self.tell(report(number, "1", requests=38, labelled=760, wrong=38))
        counts: dict[str, Any] = {"requests": 2, "labelled": 40, "wrong": 2, **canary}
        self.tell(report(number, "2", **counts))
        self.cloud.pass_time(1)

    def intervals(self) -> dict[int, Any]:
        """Every closed interval's facts, counted from the first."""
        keys = [entry.key for entry in self.cloud.state.entries(f"{ROLLOUT}/intervals/")]
        return {int(key.rsplit("/", 1)[-1]) - FIRST: data_of(self.cloud, key) for key in keys}


def push(cloud: MemoryCloud, envelope: Envelope) -> int:
    """Delivers an event to the judge without a server in between; answers the status that Pub/Sub would see."""
    message = Message(envelope.attributes(), envelope.data())
    with using(cloud):
        try:
            entry_point("monitor_canary")(pushed(envelope.topic, message))
        except SerinError:
            return 500
    return 200


def report(number: int, deployed: str, reporter: str = "r", **counts: Any) -> EvidenceReported:
    """What a reporter tells of the so-manieth second; all answers are fast."""
    answered = counts.get("requests", 0) - counts.get("errors", 0)
    latency = {"10": answered} if answered else {}
    return EvidenceReported(
        model=MODEL, run=RUN, endpoint="serin-digits", deployed_model=deployed, reporter=f"{reporter}{deployed}",
        interval=FIRST + number, report_seconds=1, latency=latency, **counts,
    )  # fmt: skip
