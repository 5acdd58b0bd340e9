"""For each function, a situation in which its first event makes it do its real work, Vertex AI calls included."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from shared.artefacts import digest
from shared.envelope import Envelope, Message, from_json
from shared.environment import Cloud
from shared.events import (
    ApprovalAnswered,
    ApprovalRequested,
    DeploymentApproved,
    EvaluationCompleted,
    Event,
    EvidenceReported,
    ModelStaged,
    Notification,
    OutcomesObserved,
    RetirementDue,
    RollbackRequested,
    SmokePassed,
    TrafficRequested,
    TrainingRequested,
)
from shared.foreign import CLOCK_TICKED, DATA_UPLOADED
from shared.ids import ModelName, RunId, UploadId, run_id
from shared.ledger import Author, Ledger, Outcome, rollout_key, run_key, schema_key, window_key
from shared.rollouts import Deployed, production_endpoint
from shared.settings import Settings, object_name
from shared.windows import Upload, carry

EVALUATION = Path(__file__).parents[1] / "tests" / "events" / "evaluation-completed.json"
_SETTINGS = b'[data]\ntarget = "digit"\n'
_FILES = {"model.onnx": b"not looked into", "evaluation.json": b"{}"}
_JOB = "projects/serin-local/locations/us-central1/customJobs/1701"
Prepared = tuple[str, Message]
"""The topic and the message that a function is sent."""


class Situation:
    """One model's ledger as a function finds it."""

    def __init__(self, cloud: Cloud, model: ModelName) -> None:
        self.cloud = cloud
        self.model = model
        self.run: RunId = run_id(model, 1)
        self.ledger = Ledger(cloud.state, Author("bench", None, None, cloud.now, cloud.token))

    def event(self, payload: Event) -> Prepared:
        envelope = Envelope(f"bench/{self.cloud.token()}", "//bench", self.cloud.now(), payload)
        return payload.topic, Message(envelope.attributes(), envelope.data())

    def uploaded(self, name: str, body: bytes) -> Prepared:
        entry = self.cloud.data.create(name, body)
        assert entry is not None
        attributes = {
            "eventType": "OBJECT_FINALIZE",
            "bucketId": self.cloud.data.bucket,
            "objectId": name,
            "objectGeneration": str(entry.generation),
        }
        return DATA_UPLOADED, Message(attributes, b"{}")

    def settings(self) -> None:
        self.cloud.data.create(object_name(self.model), _SETTINGS)

    def schema(self, columns: Mapping[str, str]) -> None:
        self.ledger.record(schema_key(self.model), Outcome({"columns": dict(columns)}))

    def waiting_rows(self) -> None:
        self.settings()
        self.schema({"p0": "number", "digit": "text"})
        upload = Upload(UploadId("0" * 20), self.cloud.data.bucket, "data/x.csv", 1, "0" * 64, 100)
        carry(self.ledger, self.model, upload, 1)

    def open_run(self) -> None:
        settings = Settings.model_validate({"data": {"target": "digit"}})
        data = {"run": self.run, "settings": settings.model_dump(mode="json")}
        self.ledger.record(window_key(self.model, 1), Outcome(data))

    def record(self, name: str, data: Mapping[str, Any], *events: Event) -> None:
        self.ledger.record(run_key(self.run, name), Outcome(data, events))

    def decision(self, verdict: str, *events: Event) -> None:
        place = f"{self.model}/{self.run}/1/model/"
        for name, content in _FILES.items():
            self.cloud.artefacts.create(f"{place}{name}", content)
        data = {"verdict": verdict, "artefacts": self.place, "digest": digest(_FILES), "attempt": 1, "job": _JOB}
        self.record("decision", data, *events)

    @property
    def place(self) -> str:
        return f"gs://{self.cloud.artefacts.bucket}/{self.model}/{self.run}/1/model/"

    def rollout(self, *percents: int) -> None:
        """A rollout under way at the last of these shares."""
        self.open_run()
        candidate = Deployed("1", "models/x@2", self.run, self.place)
        base = Deployed("0", "models/x@1", self.run, self.place)
        opened = {"run": self.run, "candidate": candidate.to_json(), "base": base.to_json(), "steps": [5, 25, 50, 100]}
        self._of_rollout("opened", opened)
        for step, percent in enumerate(percents, 1):
            self._of_rollout(f"steps/{step:06d}", {"percent": percent})
            self._of_rollout(f"shifted/{step:06d}", {"percent": percent, "split": {}})

    def _of_rollout(self, name: str, data: Mapping[str, Any]) -> None:
        self.ledger.record(rollout_key(self.model, 1, name), Outcome(data))


def check_rows(at: Situation) -> Prepared:
    at.settings()
    rows = "".join(f"{row},{row % 10}\n" for row in range(50))
    return at.uploaded(f"data/{at.model}/rows.csv", f"p0,digit\n{rows}".encode())


def check_settings(at: Situation) -> Prepared:
    return at.uploaded(object_name(at.model), _SETTINGS)


def launch_training(at: Situation) -> Prepared:
    at.waiting_rows()
    return at.event(TrainingRequested(model=at.model, reason="threshold", window=1, rows=100))


def decide_deployment(at: Situation) -> Prepared:
    at.open_run()
    at.record("job-1", {"job": _JOB, "attempt": 1, "output": at.place})
    kept = from_json(json.loads(EVALUATION.read_text())).payload
    assert isinstance(kept, EvaluationCompleted)
    return at.event(
        kept.model_copy(update={"model": at.model, "run": at.run, "attempt": 1, "job": "1701", "artefacts": at.place})
    )


def record_approval(at: Situation) -> Prepared:
    at.open_run()
    asked = ApprovalRequested(
        model=at.model, run=at.run, artefacts=at.place, digest="0" * 64, score=60, reasons=(),
        expires=at.cloud.now() + timedelta(hours=1),
    )  # fmt: skip
    at.decision("ask", asked)
    return at.event(ApprovalAnswered(model=at.model, run=at.run, answer="approve", by="bench", because="to see"))


def stage_model(at: Situation) -> Prepared:
    at.open_run()
    at.decision("deploy")
    approved = DeploymentApproved(
        model=at.model, run=at.run, artefacts=at.place, digest=digest(_FILES), score=90, by="bench", reasons=()
    )
    return at.event(approved)


def smoke_test(at: Situation) -> Prepared:
    at.open_run()
    golden = {"rows": [{"p0": 1}], "probabilities": [[1.0]], "labels": ["0"], "bad_rows": []}
    at.cloud.artefacts.create(f"{at.model}/{at.run}/1/model/golden.json", json.dumps(golden).encode())
    staged = ModelStaged(
        model=at.model, run=at.run, version="models/x@1", artefacts=at.place, endpoint="none", deployed_model="1"
    )
    at.record("staged", staged.model_dump(mode="json", exclude={"model", "run"}))
    return at.event(staged)


def deploy_canary(at: Situation) -> Prepared:
    at.open_run()
    passed = SmokePassed(model=at.model, run=at.run, version="models/x@1", artefacts=at.place)
    at.record("smoke", {"passed": True}, passed)
    return at.event(passed)


def shift_traffic(at: Situation) -> Prepared:
    at.rollout(5)
    return at.event(TrafficRequested(model=at.model, run=at.run, rollout=1, step=1, percent=5))


def monitor_canary(at: Situation) -> Prepared:
    at.rollout(5)
    interval = int(at.cloud.now().timestamp() // 60)
    report = EvidenceReported(
        model=at.model, run=at.run, endpoint=production_endpoint(at.model), deployed_model="1", reporter="bench",
        interval=interval, report_seconds=60, requests=3,
    )  # fmt: skip
    return at.event(report)


def record_outcomes(at: Situation) -> Prepared:
    at.settings()
    at.cloud.state.create("keys/receipts/1", b"00" * 32)
    return at.event(OutcomesObserved(model=at.model, batch=at.cloud.token(), outcomes=(("no receipt", "3"),)))


def roll_back(at: Situation) -> Prepared:
    at.rollout(5)
    return at.event(RollbackRequested(model=at.model, rollout=1, by="bench", because="to see"))


def detect_drift(at: Situation) -> Prepared:
    """The report that ends an hour: the hour is judged."""
    at.settings()
    at.rollout(100)
    at.decision("deploy")
    hour = int(at.cloud.now().timestamp() // 3600)
    report = EvidenceReported(
        model=at.model, run=at.run, endpoint=production_endpoint(at.model), deployed_model="1", reporter="bench",
        interval=hour * 60 + 2, report_seconds=60, requests=3, rows=3,
    )  # fmt: skip
    return at.event(report)


def score_batch(at: Situation) -> Prepared:
    """A small file, scored in the function by a model that answers each number with itself."""
    at.settings()
    at.rollout(100)
    signature = {"model": at.model, "run": at.run, "features": [{"name": "p0", "type": "number"}], "labels": []}
    files = {"signature.json": json.dumps(signature).encode(), "model.onnx": _itself()}
    for name, content in files.items():
        at.cloud.artefacts.create(f"{at.model}/{at.run}/1/model/{name}", content)
    return at.uploaded(f"score/{at.model}/rows.csv", b"p0\n" + b"0.5\n" * 50)


def _itself() -> bytes:
    from onnx import TensorProto, helper

    asked, told = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("numbers", "values"))
    graph = helper.make_graph([helper.make_node("Identity", ["numbers"], ["values"])], "itself", [asked], [told])
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return content


def retire_model(at: Situation) -> Prepared:
    at.open_run()
    return at.event(RetirementDue(model=at.model, run=at.run, what="staging", target="1"))


def reconcile(at: Situation) -> Prepared:
    at.settings()
    return CLOCK_TICKED, Message({}, b"{}")


def notify(at: Situation) -> Prepared:
    return at.event(Notification(model=at.model, title="a notice"))


def record_dead_letter(_at: Situation) -> Prepared:
    return "dead-letters", Message({"CloudPubSubDeadLetterSourceSubscription": "bench"}, b"{}")


SITUATIONS: Mapping[str, Callable[[Situation], Prepared]] = {
    made.__name__: made
    for made in (
        check_rows, check_settings, launch_training, decide_deployment, record_approval, stage_model, smoke_test,
        deploy_canary, shift_traffic, monitor_canary, record_outcomes, roll_back, retire_model, reconcile, notify,
        record_dead_letter,
    )
}  # fmt: skip
# Whoever goes through every order of effects would never come to the end of a day of drift, or of a file's parts.
STARTED: Mapping[str, Callable[[Situation], Prepared]] = {
    **SITUATIONS, "detect_drift": detect_drift, "score_batch": score_batch,
}  # fmt: skip
CALL_VERTEX = frozenset(
    {
        "launch_training", "stage_model", "smoke_test", "deploy_canary", "shift_traffic", "roll_back", "retire_model",
        "reconcile",
    }
)  # fmt: skip
