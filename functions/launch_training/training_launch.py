"""One recorded training job per attempt, although Vertex AI can neither make creating one idempotent nor fence it.

claim ─► list by label ─► adopt the oldest or create ─► job-<attempt> ─► read back ─► another's? cancel mine
"""

from window_closing import bind, close

from shared.awaited import iso, tell
from shared.backends import training as backend_of
from shared.envelope import Envelope
from shared.errors import Refused
from shared.events import TrainingFailed, TrainingRequested
from shared.ids import ModelName, RunId, run_parts
from shared.jobs import Job, JobOrder
from shared.ledger import Outcome, Record, run_key, window_key
from shared.pinned_images import unpinned
from shared.run_end import run_end
from shared.settings import Settings
from shared.step import Events, Step
from shared.windows import sweep

_LINES_TOLD = 10
"""Of the log, to people; the record has all that the event brought."""


def launch(event: TrainingRequested, step: Step) -> Events:
    """Closes the window that the request names and has its first job made; does nothing before its time."""
    said: list[Envelope] = []
    window = event.window
    if window is None:
        bound = bind(event, step)
        said, window = list(bound.events), bound.data["window"]
    closed = close(event, window, step) if window is not None else None
    if closed is None or window is None:
        return said
    sweep(step.ledger, event.model, window)
    return [*said, *_start(closed, 1, step), *closed.events]


def try_again(event: TrainingFailed, step: Step) -> Events:
    """Records that an attempt failed, then has the next one made or ends the run."""
    job = step.ledger.require(run_key(event.run, f"job-{event.attempt}"))
    if job.data["job"].rsplit("/", 1)[-1] != event.job.rsplit("/", 1)[-1]:
        return ()
    if step.ledger.find(run_key(event.run, "decision")) is not None:
        return ()
    model, window = run_parts(event.run)
    opened = step.ledger.require(window_key(model, window))
    attempts = Settings.model_validate(opened.data["settings"]).training.attempts
    last = event.permanent or event.attempt >= attempts
    told = {"reason": event.reason, "log": list(event.log), "last": last, "began": iso(event.began)}
    key = run_key(event.run, f"failed-{event.attempt}")
    failed = step.ledger.find(key)
    if failed is None:
        failed = step.ledger.once(key, lambda: Outcome(told))
        tell("training job", job, event.began, step.said, step, "failed")
    if not failed.data["last"]:
        return _start(opened, event.attempt + 1, step)
    return step.ledger.once(run_key(event.run, "end"), lambda: _given_up(event)).events


def _given_up(event: TrainingFailed) -> Outcome:
    reasons = (f"attempt {event.attempt}: {event.reason}", *(f"log: {line}" for line in event.log[-_LINES_TOLD:]))
    title = f"{event.model}: training failed"
    return run_end(event.run, "failed", "training", title, reasons, set_aside=event.set_aside)


def _start(opened: Record, attempt: int, step: Step) -> Events:
    """Has the attempt's job made and recorded; the run's end if Vertex AI will never make it as it was ordered."""
    run = RunId(opened.data["run"])
    key = run_key(run, f"job-{attempt}")
    if step.ledger.find(key) is not None:
        return ()
    if (end := step.ledger.find(run_key(run, "end"))) is not None:
        return end.events
    order = _order(opened, attempt, step)
    if why := unpinned(order.image, step.cloud.environment):
        return step.ledger.once(run_key(run, "end"), lambda: _not_made(run, why)).events
    step.ledger.claim(key, step.cloud.environment.lease_seconds)
    backend = backend_of(run, step)
    visible = backend.jobs(order.labels)
    try:
        job = visible[0] if visible else backend.create_job(order)
    except Refused as refused:
        why = f"attempt {attempt}: {refused}"
        return step.ledger.once(run_key(run, "end"), lambda: _not_made(run, why)).events
    recorded = step.ledger.once(key, lambda: _made(job, attempt, order))
    if recorded.data["job"] != job.name and not job.ended:
        backend.cancel_job(job.name)
    return ()


def _not_made(run: RunId, why: str) -> Outcome:
    title = f"{run_parts(run)[0]}: no training job could be made"
    return run_end(run, "failed", "training", title, (why,), wanted="mend [training] in the settings, then drop rows")


def _made(job: Job, attempt: int, order: JobOrder) -> Outcome:
    return Outcome({"job": job.name, "attempt": attempt, "output": order.output, "image": order.image})


def _order(opened: Record, attempt: int, step: Step) -> JobOrder:
    run, environment = RunId(opened.data["run"]), step.cloud.environment
    model, window = run_parts(run)
    output = f"gs://{environment.artefacts_bucket}/{model}/{run}/{attempt}"
    training = Settings.model_validate(opened.data["settings"]).training
    image = training.image or environment.training_image
    return JobOrder(
        display_name=f"serin-{run}-{attempt}",
        labels={"managed-by": "serin", "serin-model": model, "serin-run": run, "serin-attempt": str(attempt)},
        image=image,
        variables={
            **_contract(model, window, output, step),
            "SERIN_RUN": run,
            "SERIN_ATTEMPT": str(attempt),
            "SERIN_CAUSE": step.cause or "",
            "SERIN_TRACEPARENT": step.ledger.author.traceparent or "",
            "GOOGLE_CLOUD_PROJECT": environment.project,
            "SERIN_REGION": environment.region,
            "SERIN_DATA_BUCKET": environment.data_bucket,
            "SERIN_STATE_BUCKET": environment.state_bucket,
            "SERIN_ARTEFACTS_BUCKET": environment.artefacts_bucket,
            "SERIN_TRAINING_IMAGE": image,
        },
        output=output,
        machine_type=training.machine_type,
        accelerator_type=training.accelerator_type,
        accelerator_count=training.accelerator_count,
        timeout_seconds=training.timeout_seconds,
        service_account=environment.training_service_account,
        spot=training.spot,
        cpu=training.cpu,
        memory=training.memory,
        retries=training.retries,
    )


def _contract(model: ModelName, window: int, output: str, step: Step) -> dict[str, str]:
    """What a trainer of one's own needs to know: docs/own-trainer.md says it."""
    environment = step.cloud.environment
    return {
        "SERIN_INPUTS": f"gs://{environment.state_bucket}/{window_key(model, window)}",
        "DATA_DIR": f"gs://{environment.data_bucket}/data/{model}/",
        "ARTIFACTS_DIR": f"{output}/model/",
        "BUCKET_NAME": environment.artefacts_bucket,
        "VERSION": str(window),
    }
