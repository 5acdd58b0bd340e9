"""What follows from a rollout's share of the traffic."""

from datetime import timedelta

from interval_closing import caught_up, close_due
from rollout_rules import rules_of

from shared.envelope import Envelope
from shared.events import Notification, RollbackRequested, RolledBack, TrafficShifted
from shared.ids import RunId, UploadId, run_parts
from shared.ledger import Outcome, Record, rollout_key, run_key, upload_key, window_key
from shared.rollouts import Rollout, load, promote
from shared.settings import settings_of
from shared.step import Events, Step

_FILES_LOOKED_AT = 100  # of a window: a measure is not worth more reads


def watch(event: TrafficShifted, step: Step) -> Events:
    """Judges a canary; at 100 % ends the run, goes on judging, and promotes it once the bake is over.

    Without a base to go back to, or when it is itself a return to an older version, there is nothing to wait for.
    """
    rollout = load(step.ledger, event.model, event.rollout)
    if rollout.decision == "rollback":
        return ()
    if not rollout.live:
        return close_due(rollout, rules_of(rollout.opened, step), step)
    if rollout.returns is not None:
        return _returned(rollout, rollout.returns, step)
    live = step.ledger.once(run_key(event.run, "end"), lambda: _live(rollout, step))
    if rollout.base is None:
        because = "the first model has no base"
        return [*step.unheard(live), *promote(step.ledger, rollout, "monitor_canary", because).events]
    if rollout.decision == "promote":  # whoever decided may have died before the end stood, or before it was said
        return [*step.unheard(live), *promote(step.ledger, rollout, "monitor_canary", "its bake is over").events]
    rules = rules_of(rollout.opened, step)
    judged = close_due(rollout, rules, step)
    if _harmful(judged) or not _baked(rollout, live, step) or not caught_up(rollout, rules, step):
        return [*step.unheard(live), *judged]
    return [*step.unheard(live), *promote(step.ledger, rollout, "monitor_canary", "its bake is over").events]


def _harmful(judged: list[Envelope]) -> bool:
    return any(isinstance(envelope.payload, RollbackRequested) for envelope in judged)


def _live(rollout: Rollout, step: Step) -> Outcome:
    version = rollout.candidate.version.rsplit("@", 1)[-1]
    waits = "the version before stays warm until the bake is over" if rollout.base else "it is the first"
    title = f"{rollout.model}: version {version} answers everything"
    notice = Notification(model=rollout.model, run=rollout.candidate.run, title=title, why=(waits,))
    step.log.say("INFO", "live", seconds_from_drop=_seconds_from_drop(rollout.candidate.run, step))
    return Outcome({"outcome": "live", "by": "monitor_canary", "reasons": [waits], "set_aside": False}, (notice,))


def _seconds_from_drop(run: RunId, step: Step) -> float | None:
    """Since the last of the run's files was dropped; None where no upload tells when that was."""
    model, window = run_parts(run)
    uploads = step.ledger.require(window_key(model, window)).data["uploads"][-_FILES_LOOKED_AT:]
    records = [step.ledger.find(upload_key(model, UploadId(upload["id"]))) for upload in uploads]
    dropped = [record.origin.said for record in records if record and record.origin and record.origin.said]
    return round((step.cloud.now() - max(dropped)).total_seconds(), 3) if dropped else None


def _baked(rollout: Rollout, live: Record, step: Step) -> bool:
    return step.cloud.now() - live.at >= timedelta(
        seconds=settings_of(step.ledger, rollout.candidate.run).rollout.bake_seconds
    )


def _returned(rollout: Rollout, left: int, step: Step) -> list[Envelope]:
    """An older version answers everything again: the rollout that was left is told to be rolled back."""
    key = rollout_key(rollout.model, rollout.number, "returned")
    told = step.ledger.once(key, lambda: _left(rollout, left))
    by, because = rollout.opened.data["by"], f"a return from rollout {left}"
    return [*step.unheard(told), *promote(step.ledger, rollout, by, because).events]


def _left(rollout: Rollout, left: int) -> Outcome:
    asked, base = rollout.opened.data, rollout.base
    assert base is not None  # whoever returns comes from somewhere
    version = rollout.candidate.version.rsplit("@", 1)[-1]
    told = RolledBack(
        model=rollout.model, run=base.run, rollout=left, by=asked["by"], because=asked["because"],
        set_aside=asked["set_aside"], numbers=asked["numbers"],
    )  # fmt: skip
    notice = Notification(
        model=rollout.model, run=base.run, severity="warning",
        title=f"{rollout.model}: rolled back, version {version} of the registry answers everything",
        why=(f"asked for by {asked['by']}: {asked['because']}",),
    )  # fmt: skip
    return Outcome({"left": left, "by": asked["by"], "because": asked["because"]}, (told, notice))
