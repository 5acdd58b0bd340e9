"""The training job as the outside world sees it: a run's record in, artefacts and one event out.

    window record ─► the exact uploads ─► train ─► artefacts (create-only) ─► evaluation-completed
                              └────────────┴── any failure, with its reason ─► training-failed, exit status 1

Environment: SERIN_RUN and SERIN_ATTEMPT name the work, CLOUD_ML_JOB_ID the job (set by Vertex AI; CLOUD_RUN_JOB by
Cloud Run), AIP_MODEL_DIR the place of the artefacts (Vertex AI derives it from the job's output directory); SERIN_CAUSE
and SERIN_TRACEPARENT, where given, continue the chain of events; SERIN_TRAINING_IMAGE is the image as it was ordered.
Everything else is read by `shared.environment`.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.artefacts import digest, key_of
from shared.envelope import Envelope
from shared.environment import Cloud
from shared.errors import BadInput, SerinError
from shared.events import MAX_LOG_LINES, EvaluationCompleted, TrainingFailed
from shared.ids import ModelName, RunId, run_parts
from shared.job_logs import MAX_LINE_CHARACTERS
from shared.ledger import Author, Ledger, run_key
from shared.step import publish
from training_image.artefacts import write
from training_image.errors import BadData, TrainingError, Untrainable
from training_image.lineage import Code, Lineage, code_of, lineage_of
from training_image.packing import pack
from training_image.run_record import read_champion, read_record, read_uploads
from training_image.training import Trained, train

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
    code: Code

    @property
    def model(self) -> ModelName:
        return run_parts(self.run)[0]


def read_order(variables: Mapping[str, str], artefacts_bucket: str) -> Order:
    """The order that the variables give; raises BadInput with everything that is missing or wrong."""
    reasons = [f"{name} is not set" for name in ("SERIN_RUN", "SERIN_ATTEMPT") if not variables.get(name)]
    job = variables.get("CLOUD_ML_JOB_ID") or variables.get("CLOUD_RUN_JOB") or ""
    reasons += [] if job else ["CLOUD_ML_JOB_ID is not set"]
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
        job=job,
        output=output,
        cause=variables.get("SERIN_CAUSE") or None,
        traceparent=variables.get("SERIN_TRACEPARENT") or None,
        code=code_of(variables),
    )


def run_job(order: Order, cloud: Cloud) -> int:
    """Carries the order out and says how it ended; the exit status: 0 with an evaluation, 1 without."""
    tell, began = Teller(order), cloud.now()
    try:
        event: EvaluationCompleted | TrainingFailed = _attempt(order, cloud, tell)
    except (TrainingError, SerinError) as error:
        # Only what is wrong with the rows themselves sets their window aside.
        final, aside = isinstance(error, BadData | Untrainable), isinstance(error, BadData)
        event = _failed(order, str(error), tell.last_lines, permanent=final, set_aside=aside)
    except Exception as bug:
        # The log has the whole story; the event only where it happened, since an exception's text may quote data.
        traceback.print_exc()
        tell.trace(bug)
        event = _failed(
            order, f"{type(bug).__name__} at {_place(bug)}; the job's log has the traceback", tell.last_lines
        )
    publish(cloud, _envelope(order, cloud, event.model_copy(update={"began": began})))
    if isinstance(event, TrainingFailed):
        tell(f"failed: {event.reason}")
        return 1
    tell(f"evaluation completed, artefacts at {event.artefacts}")
    return 0


def _attempt(order: Order, cloud: Cloud, tell: Callable[[str], None]) -> EvaluationCompleted:
    ledger = _ledger(order, cloud)
    record = read_record(order.run, ledger)
    earlier, new = (read_uploads(uploads, cloud, ledger) for uploads in (record.earlier, record.window))
    tell(f"{len(earlier)} earlier and {len(new)} new uploads read")
    trained = train(record.plan, earlier, new, read_champion(record.champion, cloud), tell)
    lineage = lineage_of(record, order.attempt, order.code, trained.evaluation.seeds)
    return _completed(order, cloud, trained, lineage)


def _completed(order: Order, cloud: Cloud, trained: Trained, lineage: Lineage) -> EvaluationCompleted:
    files = pack(trained, lineage)
    known = digest(files)
    place = f"{order.output}{known}/"
    write(cloud.artefacts, key_of(cloud.artefacts, place), files)
    return EvaluationCompleted(
        model=order.model,
        run=order.run,
        attempt=order.attempt,
        job=order.job,
        artefacts=place,
        digest=known,
        evaluation=trained.evaluation,
    )


def _failed(
    order: Order, reason: str, log: tuple[str, ...], *, permanent: bool = False, set_aside: bool = False
) -> TrainingFailed:
    return TrainingFailed(
        model=order.model,
        run=order.run,
        attempt=order.attempt,
        job=order.job,
        reason=reason[:MAX_REASON_CHARS],
        log=log,
        permanent=permanent,
        set_aside=set_aside,
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


class Teller:
    """Says how far the job is, a line of JSON each, and remembers the last lines for whoever asks why it failed."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._started = time.monotonic()
        self._said: deque[str] = deque(maxlen=MAX_LOG_LINES)

    def __call__(self, message: str) -> None:
        seconds = round(time.monotonic() - self._started, 1)
        line = {"severity": "INFO", "run": self._order.run, "attempt": self._order.attempt, "message": message}
        sys.stdout.write(json.dumps({**line, "seconds": seconds}, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        self._said.append(f"{seconds:6.1f} s  {message}"[:MAX_LINE_CHARACTERS])

    def trace(self, bug: Exception) -> None:
        """Remembers where a bug happened, never what it said: an exception's text may quote data."""
        for frame in traceback.extract_tb(bug.__traceback__):
            self._said.append(f"  at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}")

    @property
    def last_lines(self) -> tuple[str, ...]:
        return tuple(self._said)
