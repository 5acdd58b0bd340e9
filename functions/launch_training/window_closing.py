"""The only place where a window is closed: the create of its record opens the run and says what it trains on."""

from typing import Any

from shared import rollouts, settings
from shared.events import Notification, TrainingRequested
from shared.ids import ModelName, run_id
from shared.ledger import Outcome, Record, asked_key, erasure_key, rollout_key, run_key, schema_key, window_key
from shared.schema import expected_columns
from shared.step import Step
from shared.windows import last_window, sweep, waiting_uploads


def bind(event: TrainingRequested, step: Step) -> Record:
    """The window that a request without one means: fixed at its first delivery, refused when no rows wait.

    That the window was asked for stands by itself: reconcile says it again once the run before has ended.
    """
    request = step.ledger.once(f"requests/{event.model}/{event.request}", lambda: _bound(event, step))
    if (window := request.data["window"]) is not None:
        asked = event.model_dump(mode="json", include={"reason", "request", "by", "because"})
        step.ledger.once(asked_key(event.model, window), lambda: Outcome(asked))
    return request


def _bound(event: TrainingRequested, step: Step) -> Outcome:
    window = last_window(step.ledger, event.model) + 1
    if not waiting_uploads(step.ledger, event.model, window):
        title = f"{event.model}: nothing to train on"
        why = "no new rows wait, and a challenger is judged on rows that nobody has trained on"
        notice = Notification(model=event.model, severity="warning", title=title, why=(why,), next="drop data first")
        return Outcome({"window": None}, (notice,))
    if _may_open(event.model, window, step):
        return Outcome({"window": window})
    before = run_id(event.model, window - 1)
    title = f"{event.model}: training is asked for and starts after {before}"
    reasons = (f"asked for by {event.by or event.reason}", "a model has one run at a time")
    return Outcome({"window": window}, (Notification(model=event.model, run=before, title=title, why=reasons),))


def _may_open(model: ModelName, window: int, step: Step) -> bool:
    """Whether the run before a window has ended, or there is none."""
    return window == 1 or step.ledger.find(run_key(run_id(model, window - 1), "end")) is not None


def close(event: TrainingRequested, window: int, step: Step) -> Record | None:
    """The record of a closed window, closing it if the run before has ended; None if it has not, or nothing waits."""
    standing = step.ledger.find(window_key(event.model, window))
    if standing is not None:
        return standing
    if not _may_open(event.model, window, step):
        return None
    sweep(step.ledger, event.model, window - 1)
    if not waiting_uploads(step.ledger, event.model, window):
        return None
    return step.ledger.record(window_key(event.model, window), _contents(event, window, step))


def _contents(event: TrainingRequested, window: int, step: Step) -> Outcome:
    model = event.model
    generation, wanted = settings.required(step.ledger, step.cloud.data, model)
    champion = rollouts.production(step.ledger, model)
    uploads = waiting_uploads(step.ledger, model, window)
    data: dict[str, Any] = {
        "run": run_id(model, window),
        "request": event.model_dump(mode="json", include={"reason", "by", "because", "rows", "request"}),
        "uploads": [upload.to_json() for upload in uploads],
        "rows": sum(upload.rows for upload in uploads),
        "earlier": _earlier(model, window, step),
        "champion": champion.to_json() if champion else None,
        "settings_generation": generation,
        "settings": wanted.model_dump(mode="json"),
        "schema": expected_columns(step.ledger.require(schema_key(model)).data["columns"], wanted.data),
    }
    title = f"{model}: training on {data['rows']} new rows"
    return Outcome(data, (Notification(model=model, run=run_id(model, window), title=title),))


def _earlier(model: ModelName, window: int, step: Step) -> list[dict[str, Any]]:
    """The uploads of the windows before, without those that were set aside and without what was erased."""
    erased = {entry.key.rsplit("/", 1)[-1] for entry in step.ledger.entries(erasure_key(model, ""))}
    earlier = []
    for number in range(1, window):
        if not _set_aside(model, number, step):
            uploads = step.ledger.require(window_key(model, number)).data["uploads"]
            earlier += [upload for upload in uploads if upload["id"] not in erased]
    return earlier


def _set_aside(model: ModelName, window: int, step: Step) -> bool:
    run = run_id(model, window)
    end = step.ledger.find(run_key(run, "end"))
    if end is not None and (end.data.get("set_aside") or end.data.get("outcome") == "rejected"):
        return bool(end.data.get("set_aside"))  # who was rejected has no rollout that could say otherwise
    rollout = step.ledger.find(run_key(run, "rollout"))
    if rollout is None:
        return False
    # A verdict of rollback, or the request to go back that came after the promotion.
    left = [step.ledger.find(rollout_key(model, rollout.data["rollout"], name)) for name in ("verdict", "returned")]
    return any(record is not None and record.data.get("set_aside") for record in left)
