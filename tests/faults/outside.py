"""What goes on outside Serin during a whole run: operations end, jobs train and score, clients ask, people act."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.artefacts import digest
from shared.envelope import Envelope, Message
from shared.events import EvaluationCompleted, Event, EvidenceReported, RollbackRequested
from shared.foreign import DATA_UPLOADED
from shared.ids import ModelName, RunId
from shared.jobs import Job
from shared.ledger import Outcome, run_key
from shared.rollouts import production_endpoint
from tests.faults.world import endpoints_of, jobs_of
from tests.functions.standing_run import event, ledger
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement

MODEL = ModelName("digits")
TURN_SECONDS = 20
_LONG_SECONDS = 6 * 3600
VARIABLES = {"SERIN_LEASE_SECONDS": "15", "SERIN_SWEEP_SECONDS": "60", "SERIN_NOTIFY_URLS": "file:///dev/null"}
SETTINGS = b"""
[data]
target = "digit"
[threshold]
at_least = 2
[serving]
versions_kept = 1
rows_scored_here = 0
deploy_timeout_seconds = 120
[rollout]
steps = [50, 100]
bake_seconds = 40
[evidence]
report_seconds = 20
grace_intervals = 1
minimum_requests = 10
minimum_seconds = 20
error_margin_points = 25
slow_margin_points = 25
slow_floor_seconds = 0.5
labels_required = false
time_limit_seconds = 1200
silent_intervals = 2
[drift]
period_seconds = 60
periods = 1
"""
GOLDEN = {"rows": [{"p0": 1}], "probabilities": [[1.0]], "labels": ["0"], "bad_rows": []}
SIGNATURE = {"features": [{"name": "p0", "type": "number"}]}
_EVALUATED = event("evaluation-completed").payload
assert isinstance(_EVALUATED, EvaluationCompleted)
_FILES: Mapping[str, bytes] = {
    "model.onnx": b"not looked into",
    "golden.json": json.dumps(GOLDEN).encode(),
    "signature.json": json.dumps(SIGNATURE).encode(),
    "evaluation.json": _EVALUATED.evaluation.model_dump_json().encode(),
}
_DIGEST = digest(_FILES)
Say = Callable[[str, Message], None]


def golden_answers(_version: str, instances: Sequence[Any], _parameters: Mapping[str, Any]) -> list[Any]:
    """What every model of these stories answers."""
    return [{"label": "0", "probabilities": [1.0]} for _ in instances]


@dataclass(frozen=True)
class Outside:
    """The world's own doings in one turn; `say` puts a message on its way, `fails` are attempts that do not train."""

    cloud: MemoryCloud
    say: Say
    fails: frozenset[str] = frozenset()
    leaves_at: int | None = None
    hangs: bool = False

    def turn(self) -> float:
        """Whatever happens by itself between two ticks of the clock; answers how many seconds pass."""
        self.cloud.vertex.finish()
        self.cloud.services.finish()
        for job in jobs_of(self.cloud):
            self._train(job)
        waiting = [job for job in self.cloud.vertex._batch_jobs.values() if not job.ended]
        for job in [] if self.hangs else waiting:
            self._score(job)
        self._clients_ask()
        return _LONG_SECONDS if self.hangs and waiting else TURN_SECONDS

    def drop(self, name: str, body: bytes) -> None:
        """Puts an object into the data bucket, which announces it."""
        entry = self.cloud.data.put(name, body)
        self.say(DATA_UPLOADED, Message(announcement(name, entry.generation), b"{}"))

    def publish(self, name: str, payload: Event) -> None:
        """Says an event that no function says."""
        envelope = Envelope(name, "//outside", self.cloud.now(), payload)
        self.say(envelope.topic, Message(envelope.attributes(), envelope.data()))

    def stray_job(self, run: RunId) -> None:
        """A second job of an attempt becomes visible, which nobody had recorded."""
        made = ledger(self.cloud).find(run_key(run, "job-1"))
        orders = [each for each in self.cloud.vertex.orders if each.labels["serin-run"] == run]
        if made is not None and orders:
            self.cloud.vertex.create_job(orders[0])

    def _train(self, job: Job) -> None:
        """What a job does, once it is on record: a job that nobody has recorded yet goes on for another turn."""
        run, attempt = RunId(job.labels["serin-run"]), job.labels["serin-attempt"]
        made = ledger(self.cloud).find(run_key(run, f"job-{attempt}"))
        if job.ended or made is None or made.data["job"] != job.name:
            return
        if f"{run}/{attempt}" in self.fails:
            self._end(job, "FAILED", "exit status 1")
            return
        place = f"{MODEL}/{run}/{attempt}/model/"
        for name, content in _FILES.items():
            self.cloud.artefacts.put(f"{place}{name}", content)
        self._end(job, "SUCCEEDED")
        where = f"gs://{self.cloud.artefacts.bucket}/{place}"
        told = _EVALUATED.model_copy(
            update={"run": run, "attempt": int(attempt), "job": job.number, "artefacts": where, "digest": _DIGEST}
        )
        self.publish(f"{run_key(run, f'job-{attempt}')}/{job.number}", told)

    def _end(self, job: Job, state: str, error: str = "") -> None:
        on_cloud_run = job.name in self.cloud.jobs.found
        logs = self.cloud.jobs.logs if on_cloud_run else self.cloud.vertex.logs
        logs[job.name] = ["out of memory"] if error else []
        if on_cloud_run:
            self.cloud.jobs.end(job.name, f"EXECUTION_{state}", error)
        else:
            self.cloud.vertex.end_job(job.name, state, error)

    def _score(self, job: Job) -> None:
        order = next(each for each in self.cloud.vertex.batches if each.labels == job.labels)
        place = order.output.removeprefix(f"gs://{self.cloud.artefacts.bucket}/")
        answers = [{"serin_row": "1", "prediction": {"label": "0", "probability": 1.0}}]
        body = "\n".join(json.dumps({"key": each["serin_row"], **each}) for each in answers)
        self.cloud.artefacts.put(f"{place}/{job.number}/prediction.results-00000-of-00001", body.encode())
        self.cloud.vertex.end_batch_job(job.name, "SUCCEEDED", output=f"{order.output}/{job.number}")

    def _clients_ask(self) -> None:
        """While a comparison is open, each deployment that has traffic reports a busy interval without trouble."""
        endpoint = endpoints_of(self.cloud).get(production_endpoint(MODEL))
        if endpoint is None or len(endpoint.deployed) < 2:
            return
        interval = int(self.cloud.now().timestamp() // TURN_SECONDS)
        for deployed, share in sorted(endpoint.split.items()):
            if share == self.leaves_at and int(deployed) == max(map(int, endpoint.split)):
                asked_for = RollbackRequested(model=MODEL, rollout=int(deployed), by="ada", because="I say so")
                self.publish(f"ada/{deployed}/{interval}", asked_for)
            if share:
                asked = EvidenceReported(
                    model=MODEL, run=self._run_of(endpoint.deployed[deployed]), endpoint=production_endpoint(MODEL),
                    deployed_model=deployed, reporter=f"r{deployed}", interval=interval, report_seconds=TURN_SECONDS,
                    requests=40 * share, rows=40 * share, latency={"10": 40 * share},
                )  # fmt: skip
                self.publish(f"{deployed}/{interval}", asked)

    def _run_of(self, version: str) -> RunId:
        versions = {each.name: each.labels["serin-run"] for each in self.cloud.vertex._versions[MODEL]}
        return RunId(versions[version])


def settled_settings(cloud: MemoryCloud) -> None:
    """A model whose schema is known, as it is after its first upload."""
    ledger(cloud).record(f"schemas/{MODEL}", Outcome({"columns": {"p0": "number", "digit": "number"}}))
