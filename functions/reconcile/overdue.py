"""What is due, for every model: level-triggered, from what stands in the ledger and what Vertex AI says.

A step that still waits is given the very event that started it once more, as the ledger holds it: a lost event, an
operation that has ended and a crash in between are then one and the same case, and the step's own function is the only
one that does its work.

Each part is looked at apart from the others: what one model is in trouble with keeps nobody else waiting.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from due_rollout import of_rollout, of_staging
from due_run import of_run, strays
from due_scores import of_scores
from due_uploads import of_uploads

from shared.envelope import Envelope
from shared.errors import NotYet, Transient
from shared.events import TrainingRequested
from shared.foreign import ClockTicked
from shared.ids import ModelName, run_id
from shared.ledger import asked_key, pending_prefix, run_key, window_key
from shared.settings import current
from shared.step import Events, Step, publish
from shared.threshold import Reason, crossed
from shared.windows import last_window, names, waiting, waiting_uploads


def look(_tick: ClockTicked, step: Step) -> Events:
    """Every event that is due now; what was in the way of some is raised once the others are published."""
    due: list[Envelope] = []
    troubles: list[Exception] = []
    parts: list[Iterator[Envelope]] = []
    with _apart(troubles, step):
        strays(step)
    for folder in step.ledger.store.folders("settings/"):
        with _apart(troubles, step):
            parts += _of_model(ModelName(folder), step)
    for part in parts:
        with _apart(troubles, step):
            for envelope in part:
                due.append(envelope)  # one by one: what was found before the trouble is due all the same
    for look_for in (of_scores, of_uploads):
        with _apart(troubles, step):
            look_for(step)
    if not troubles:
        return due
    for envelope in due:
        publish(step.cloud, envelope)
    raise next((bug for bug in troubles if not isinstance(bug, NotYet | Transient)), troubles[0])


@contextmanager
def _apart(troubles: list[Exception], step: Step) -> Iterator[None]:
    """Keeps what is raised for later; the first of it says what becomes of the tick, a bug before all else."""
    try:
        yield
    except Exception as trouble:
        step.log.say("WARNING", f"not all was looked at: {type(trouble).__name__}")
        troubles.append(trouble)


def _of_model(model: ModelName, step: Step) -> list[Iterator[Envelope]]:
    """The parts of a model that may wait for something, each to be looked at by itself."""
    window = last_window(step.ledger, model)
    open_run = window and step.ledger.find(run_key(run_id(model, window), "end")) is None
    run = [of_run(model, window, step)] if window else []
    closed = [_late(model, window, step), of_staging(model, window, step)] if window else []
    return [*run, of_rollout(model, step), *closed, *([] if open_run else [_threshold(model, window + 1, step)])]


def _late(model: ModelName, window: int, step: Step) -> Iterator[Envelope]:
    if _late_markers(model, window, step):
        yield _request(model, window, 0, step)


def _late_markers(model: ModelName, window: int, step: Step) -> bool:
    closed = step.ledger.require(window_key(model, window))
    listed = len(closed.data["uploads"])
    if len(step.ledger.entries(pending_prefix(model, window))) == listed:
        return False
    late = [upload for upload in waiting_uploads(step.ledger, model, window) if not names(closed, upload.id)]
    ahead = {entry.key.rsplit("/", 1)[-1] for entry in step.ledger.entries(pending_prefix(model, window + 1))}
    return any(upload.id not in ahead for upload in late)


def _threshold(model: ModelName, window: int, step: Step) -> Iterator[Envelope]:
    found = waiting(step.ledger, model, window)
    wanted = current(step.ledger, step.cloud.data, model) if found.rows else None
    last = step.ledger.find(window_key(model, window - 1)) if window > 1 else None
    reason = crossed(wanted[1].threshold, found, step.cloud.now(), last.at if last else None) if wanted else None
    asked = step.ledger.find(asked_key(model, window)) if wanted else None
    if asked is not None:
        event = TrainingRequested(model=model, window=window, rows=found.rows, **asked.data)
        yield step.ledger.envelope(event, asked.key)
    elif reason is not None:
        yield _request(model, window, found.rows, step, reason)


def _request(model: ModelName, window: int, rows: int, step: Step, reason: Reason = "threshold") -> Envelope:
    asked = TrainingRequested(model=model, reason=reason, window=window, rows=rows)
    return step.ledger.envelope(asked, f"windows/{model}/{window:06d}/{reason}")
