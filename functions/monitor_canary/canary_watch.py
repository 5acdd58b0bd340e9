"""What follows from a rollout's share of the traffic."""

from datetime import timedelta

from interval_closing import close_due

from shared.events import Notification, TrafficShifted
from shared.ids import run_parts
from shared.ledger import Outcome, Record, run_key, window_key
from shared.rollouts import Rollout, load, promote
from shared.settings import Settings
from shared.step import Events, Step


def watch(event: TrafficShifted, step: Step) -> Events:
    """Judges a canary; at 100 % ends the run, and promotes it if there is no base or the bake is over."""
    rollout = load(step.ledger, event.model, event.rollout)
    if rollout.end is not None or rollout.decision is not None:
        return rollout.end.events if rollout.end and rollout.decision == "promote" else ()
    if not rollout.live:
        return close_due(rollout, step)
    live = step.ledger.once(run_key(event.run, "end"), lambda: _live(rollout))
    if rollout.base is None:
        return [*live.events, *promote(step.ledger, rollout, "monitor_canary", "the first model has no base").events]
    if _baked(rollout, live, step):
        return [*live.events, *promote(step.ledger, rollout, "monitor_canary", "its bake is over").events]
    return live.events


def _live(rollout: Rollout) -> Outcome:
    version = rollout.candidate.version.rsplit("@", 1)[-1]
    waits = "the version before stays warm until the bake is over" if rollout.base else "it is the first"
    title = f"{rollout.model}: version {version} answers everything"
    notice = Notification(model=rollout.model, run=rollout.candidate.run, title=title, why=(waits,))
    return Outcome({"outcome": "live", "by": "monitor_canary", "reasons": [waits], "set_aside": False}, (notice,))


def _baked(rollout: Rollout, live: Record, step: Step) -> bool:
    model, window = run_parts(rollout.candidate.run)
    settings = Settings.model_validate(step.ledger.require(window_key(model, window)).data["settings"])
    return step.cloud.now() - live.at >= timedelta(seconds=settings.rollout.bake_seconds)
