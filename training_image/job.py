"""The training job as the outside world sees it: a run's record in, artefacts and one event out.

    window record ─► the exact uploads ─► train ─► artefacts (create-only) ─► evaluation-completed
                              └────────────┴── any failure, with its reason ─► training-failed, exit status 1

Environment: SERIN_RUN and SERIN_ATTEMPT name the work, CLOUD_ML_JOB_ID the job (Vertex AI sets it), AIP_MODEL_DIR the
place of the artefacts (Vertex AI derives it from the job's output directory); SERIN_CAUSE and SERIN_TRACEPARENT,
where given, continue the chain of events. Everything else is read by `shared.environment`.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.artefacts import digest, key_of, read_artefact
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.errors import BadInput, SerinError
from shared.events import EvaluationCompleted, TrainingFailed
from shared.ids import ModelName, RunId, run_parts
from shared.ledger import Author, Ledger, run_key, window_key
from shared.settings import Settings
from shared.step import publish
from shared.tables.checksum import content_id_of
from shared.tables.forms import Dialect
from shared.windows import Upload as Stored
from training_image.artefacts import write
from training_image.errors import BadData, TrainingError
from training_image.evaluation import Champion
from training_image.onnx_model import OnnxModel
from training_image.rows import Upload
from training_image.signature import Signature
from training_image.training import Plan, Trained, train

MAX_REASON_CHARS = 4_000
"""A reason is read by people and travels in an event."""


@dataclass(frozen=True)
class Order:
    """Which attempt of which run this job is, and where it writes."""

    run: RunId
    attempt: int
    job: str
    output: str
    cause: str | None
    traceparent: str | None

    @property
    def model(self) -> ModelName:
        return run_parts(self.run)[0]

    @property
    def window(self) -> int:
        return run_parts(self.run)[1]


def read_order(variables: Mapping[str, str], artefacts_bucket: str) -> Order:
    """The order that the variables give; raises BadInput with everything that is missing or wrong."""
    reasons = [
        f"{name} is not set" for name in ("SERIN_RUN", "SERIN_ATTEMPT", "CLOUD_ML_JOB_ID") if not variables.get(name)
    ]
    run, attempt = RunId(variables.get("SERIN_RUN", "")), variables.get("SERIN_ATTEMPT", "")
    reasons += [] if not run or _is_run(run) else ["SERIN_RUN is not <model>-<six digits>"]
    reasons += [] if not attempt or attempt.isdecimal() else ["SERIN_ATTEMPT is not a number"]
    if reasons:
        raise BadInput("training job", reasons)
    own_place = f"gs://{artefacts_bucket}/{run_parts(run)[0]}/{run}/{int(attempt)}/model/"
    output = variables.get("AIP_MODEL_DIR", own_place).rstrip("/") + "/"
    if not output.startswith(f"gs://{artefacts_bucket}/"):
        raise BadInput("training job", ["AIP_MODEL_DIR is not in the artefacts bucket"])
    return Order(
        run=run,
        attempt=int(attempt),
        job=variables["CLOUD_ML_JOB_ID"],
        output=output,
        cause=variables.get("SERIN_CAUSE") or None,
        traceparent=variables.get("SERIN_TRACEPARENT") or None,
    )


def run_job(order: Order, cloud: Cloud) -> int:
    """Carries the order out and says how it ended; the exit status: 0 with an evaluation, 1 without."""
    tell = _teller(order)
    try:
        event: EvaluationCompleted | TrainingFailed = _attempt(order, cloud, tell)
    except (TrainingError, SerinError) as error:
        # Only what is wrong with the rows themselves is final: it sets their window aside.
        event = _failed(order, str(error), permanent=isinstance(error, BadData))
    except Exception as bug:
        # The log has the whole story; the event only where it happened, since an exception's text may quote data.
        traceback.print_exc()
        event = _failed(
            order, f"{type(bug).__name__} at {_place(bug)}; the job's log has the traceback", permanent=False
        )
    publish(cloud, _envelope(order, cloud, event))
    if isinstance(event, TrainingFailed):
        tell(f"failed: {event.reason}")
        return 1
    tell(f"evaluation completed, artefacts at {event.artefacts}")
    return 0


def _attempt(order: Order, cloud: Cloud, tell: Callable[[str], None]) -> EvaluationCompleted:
    ledger = _ledger(order, cloud)
    window = ledger.require(window_key(order.model, order.window)).data
    settings = Settings.model_validate(window["settings"])
    plan = Plan(
        model=order.model,
        run=order.run,
        target=settings.data.target,
        seed=settings.training.seed,
        folds=settings.training.folds,
        dialect=Dialect(settings.data.delimiter, settings.data.quote),
        schema=window["schema"],
    )
    earlier, new = _uploads(window["earlier"], cloud, ledger), _uploads(window["uploads"], cloud, ledger)
    tell(f"{len(earlier)} earlier and {len(new)} new uploads read")
    trained = train(plan, earlier, new, _champion(window["champion"], cloud), tell)
    return _completed(order, cloud, trained)


def _completed(order: Order, cloud: Cloud, trained: Trained) -> EvaluationCompleted:
    files = trained.artefacts()
    write(cloud.artefacts, key_of(cloud.artefacts, order.output), files)
    return EvaluationCompleted(
        model=order.model,
        run=order.run,
        attempt=order.attempt,
        job=order.job,
        artefacts=order.output,
        digest=digest(files),
        evaluation=trained.evaluation,
    )


def _uploads(kept: list[Mapping[str, Any]], cloud: Cloud, ledger: Ledger) -> list[Upload]:
    return [_upload(Stored.from_json(one), cloud, ledger) for one in kept]


def _upload(stored: Stored, cloud: Cloud, ledger: Ledger) -> Upload:
    """Exactly the bytes that were accepted, or BadInput."""
    where = f"gs://{stored.bucket}/{stored.name}#{stored.generation}"
    if stored.bucket != cloud.environment.data_bucket:
        raise BadInput(where, ["not in this installation's data bucket"])
    content = cloud.data.read(stored.name, stored.generation)
    if content is None:
        raise BadInput(where, ["this generation is gone; the data bucket must keep old generations"])
    if content_id_of(content) != stored.content:
        raise BadInput(where, ["not the bytes that were accepted"])
    return Upload(stored.name, content, _left_out(stored, ledger))


def _left_out(stored: Stored, ledger: Ledger) -> frozenset[int]:
    """The numbers of the rows that intake has set aside."""
    if stored.quarantine is None:
        return frozenset()
    return frozenset(bad["row"] for bad in ledger.require(stored.quarantine).data["rows"])


def _champion(kept: Mapping[str, Any] | None, cloud: Cloud) -> Champion | None:
    if kept is None:
        return None
    model, signature = (
        read_artefact(cloud.artefacts, kept["artefacts"], name) for name in ("model.onnx", "signature.json")
    )
    return Champion(OnnxModel(model, Signature.model_validate_json(signature)), kept["run"], str(kept["version"]))


def _failed(order: Order, reason: str, *, permanent: bool) -> TrainingFailed:
    return TrainingFailed(
        model=order.model,
        run=order.run,
        attempt=order.attempt,
        job=order.job,
        reason=reason[:MAX_REASON_CHARS],
        permanent=permanent,
    )


def _envelope(order: Order, cloud: Cloud, event: EvaluationCompleted | TrainingFailed) -> Envelope:
    # Named by run, attempt and job: a second life of the job says the same again, a stray job does not speak for it.
    return _ledger(order, cloud).envelope(
        event, f"{run_key(order.run, f'job-{order.attempt}')}/{order.job}#{event.topic}"
    )


def _ledger(order: Order, cloud: Cloud) -> Ledger:
    author = Author("training_image", order.cause, order.traceparent, cloud.now, cloud.token)
    return Ledger(cloud.state, author)


def _is_run(text: str) -> bool:
    try:
        run_parts(RunId(text))
    except ValueError:
        return False
    return True


def _place(bug: Exception) -> str:
    frames = traceback.extract_tb(bug.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "an unknown place"


def _teller(order: Order) -> Callable[[str], None]:
    started = time.monotonic()

    def tell(message: str) -> None:
        line = {"severity": "INFO", "run": order.run, "attempt": order.attempt, "message": message}
        line["seconds"] = round(time.monotonic() - started, 1)
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    return tell
