"""Mistakes to be put into the real code, at least one at each guard, each with what finds it.

A guard that is missing here is missed by nobody: docs/decisions/what-the-explorer-knows.md says which those are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.faults.exploration import Case, explored
from tests.faults.faulting import shuffled, survive
from tests.faults.scheduler import Budget
from tests.faults.seeding import Bug
from tests.faults.situations import (
    acknowledged_is_done,
    base_retired_early,
    clocks_apart,
    deployment_and_rollback,
    drifting,
    failed_deployment,
    launch_and_tick,
    next_run_too_early,
    of_function,
    one_job_was_made,
    overtaken_step,
    poison,
    promotion_and_rollback,
    return_to_the_version_before,
    rolled_back_before_shift,
    same_content_twice,
    scoring,
    two_rollbacks,
)  # fmt: skip
from tests.faults.stories import failed, promoted, rolled_back, scored
from tests.faults.whole_run import Play
from tests.faults.windows import uploads_and_closers

MOST_RUNS = 20_000


@dataclass(frozen=True)
class Explorer:
    """Every order and fault of a situation within a budget."""

    case: Callable[[], Case]
    budget: Budget

    def __call__(self) -> list[tuple[list[int], str]]:
        return explored(self.case(), self.budget, MOST_RUNS).failures


@dataclass(frozen=True)
class WholeRun:
    """Every single fault in one function's deliveries of a story."""

    story: Callable[[], Play]
    only: str

    def __call__(self) -> list[str]:
        return survive(self.story(), only=self.only, enough=1).wrong


@dataclass(frozen=True)
class AnyOrder:
    """A story whose messages come in any order, some of them again."""

    story: Callable[[], Play]

    def __call__(self) -> list[str]:
        return [wrong for seed in range(3) if (wrong := shuffled(self.story, seed))][:1]


Finder = Explorer | WholeRun | AnyOrder
ORDERS, CRASH, NAP = Budget(switches=1), Budget(crashes=1, switches=1), Budget(naps=1, switches=0)
TWICE = Budget(switches=2)
ONE_BY_ONE, DIES = Budget(switches=0), Budget(crashes=1, switches=0)


def launched() -> Case:
    """Without reconcile, which would cancel what is left running."""
    return replace(of_function("launch_training"), again=None)


def launched_once() -> Case:
    return replace(launched(), goal=one_job_was_made)


def scored_once() -> Case:
    return replace(scoring(), goal=one_job_was_made)


def decided() -> Case:
    return of_function("decide_deployment")


def deployed() -> Case:
    return of_function("deploy_canary")


def uploads_and_a_closer() -> Case:
    return uploads_and_closers(2, 1)


def uploads_and_one_closer() -> Case:
    """Nobody sweeps once more: who puts a marker down walks on with it."""
    return replace(uploads_and_closers(2, 1), again=())


STEP, LEDGER, WINDOWS = "shared/step.py", "shared/ledger.py", "shared/windows.py"
ROLLOUTS, DEPLOYMENT = "shared/rollouts.py", "shared/deployment.py"
INTAKE = "functions/check_rows/row_intake.py"
LAUNCH, CLOSING = "functions/launch_training/training_launch.py", "functions/launch_training/window_closing.py"
DEPLOY, SHIFT = "functions/deploy_canary/canary_deployment.py", "functions/shift_traffic/traffic_shift.py"
RETURN = "functions/roll_back/return_to_version.py"
ROLL_BACK, WATCH = "functions/roll_back/rollback.py", "functions/monitor_canary/canary_watch.py"
RETIRE, RUN_DUE = "functions/retire_model/retirement.py", "functions/reconcile/due_run.py"
ROLLOUT_DUE, UPLOADS_DUE = "functions/reconcile/due_rollout.py", "functions/reconcile/due_uploads.py"
SMOKE, NOTIFY = "functions/smoke_test/smoke.py", "functions/notify/notice_delivery.py"
JUDGED = "functions/monitor_canary/interval_closing.py"
DRIFT, SCORE_JOB = "functions/detect_drift/drift_watch.py", "functions/score_batch/score_job.py"
UPLOAD = "functions/stage_model/version_upload.py"

_CLAIM = "    step.ledger.claim(key, step.cloud.environment.lease_seconds)\n"
_ACKNOWLEDGED = """    try:
        step.ledger.claim(key, step.cloud.environment.lease_seconds)
    except Exception:
        return ()
"""
_CARRY = """        ledger.once(key, lambda: Outcome(upload.to_json()), {"rows": str(upload.rows)})
        closed = ledger.find(window_key(model, window))
"""
_CARRY_LOOKS_FIRST = """        closed = ledger.find(window_key(model, window))
        ledger.once(key, lambda: Outcome(upload.to_json()), {"rows": str(upload.rows)})
"""
_SAYS_FIRST = """        first = judged(event.run, staged, checks).events[0]
        told = step.ledger.envelope(first, run_key(event.run, "smoke") + "#0")
        step.cloud.bus.publish(told.topic, told.data(), told.attributes())
        smoke = step.ledger.once("""
_TOLD = '    step.ledger.record(key, Outcome({"event": event, "channel": channel.name, "title": notice.title}))\n'
_TELLS = "    if not step.cloud.door("

BUGS: tuple[tuple[Bug, Finder], ...] = (
    # the step runner
    (Bug("publishes before the record stands", SMOKE, "        smoke = step.ledger.once(", _SAYS_FIRST),
     Explorer(lambda: of_function("smoke_test"), ONE_BY_ONE)),
    (Bug("publishes the first event only", STEP, "for envelope in follow:", "for envelope in follow[:1]:"),
     WholeRun(promoted, "decide_deployment")),
    (Bug("acknowledges what it put off", STEP, "        step.log.say(\"INFO\", str(later))\n        raise\n",
         "        step.log.say(\"INFO\", str(later))\n"), WholeRun(promoted, "decide_deployment")),
    (Bug("has bad input delivered again", STEP, "follow, answered = [_refusal(bad, step)], \"refused\"", "raise"),
     Explorer(poison, ONE_BY_ONE)),
    # the ledger
    (Bug("takes its own draft for the record", LEDGER,
         "return self.require(draft.key) if created is None else draft", "return draft"),
     Explorer(launched_once, TWICE)),
    (Bug("does not claim", LAUNCH, _CLAIM, ""), Explorer(launched, ORDERS)),
    (Bug("does not look whose claim it is", LEDGER, "if self._commit(draft).owner != draft.owner:",
         "if self._commit(draft).owner is None:"), Explorer(launched_once, TWICE)),
    (Bug("believes its own clock about a lease", LEDGER, "self.server_now(key) - standing",
         "self.author.now() - standing"), Explorer(clocks_apart, ORDERS)),
    (Bug("takes a live claim over", LEDGER, "if standing and self.server_now(key)",
         "if not standing and self.server_now(key)"),
     Explorer(launched, ORDERS)),
    (Bug("takes no dead holder's claim over", LEDGER, "attempt = len(standing) + 1", "attempt = 1"),
     Explorer(launched, CRASH)),
    (Bug("acknowledges somebody else's work", LAUNCH, _CLAIM, _ACKNOWLEDGED), Explorer(acknowledged_is_done, DIES)),
    # the window
    (Bug("looks before it puts its marker down", WINDOWS, _CARRY, _CARRY_LOOKS_FIRST),
     Explorer(uploads_and_one_closer, ORDERS)),
    (Bug("does not carry a marker over", WINDOWS, "        window += 1\n", "        return window + 1\n"),
     Explorer(uploads_and_one_closer, ORDERS)),
    (Bug("closes without a sweep", LAUNCH, "    sweep(step.ledger, event.model, window)\n", ""),
     Explorer(uploads_and_a_closer, ORDERS)),
    (Bug("chooses a home that is too high", INTAKE, "last_window(step.ledger, model) + 1, \"verdict\"",
         "last_window(step.ledger, model) + 2, \"verdict\""), WholeRun(promoted, "none")),
    (Bug("counts what another upload owns", INTAKE, "        if owner.data[\"upload\"] != arrival.id:\n",
         "        if owner.data[\"upload\"] is None:\n"), Explorer(same_content_twice, ORDERS)),
    (Bug("closes before the run before has ended", CLOSING, "return window == 1 or", "return window < 9 or"),
     Explorer(next_run_too_early, ORDERS)),
    (Bug("announces no lost upload", UPLOADS_DUE, "for key, entry in uploads.items() if key not in recorded]",
         "for key, entry in uploads.items() if key in recorded]"),
     WholeRun(promoted, "check_rows")),
    # the job
    (Bug("makes a job without a look", LAUNCH, "visible[0] if visible else", "visible[0] if None else"),
     Explorer(launched, CRASH)),
    (Bug("leaves its surplus job running", LAUNCH, "recorded.data[\"job\"] != job.name and not job.ended",
         "recorded.data[\"job\"] == \"\" and not job.ended"), Explorer(launched, NAP)),
    (Bug("cancels before a record stands", RUN_DUE, "return step.ledger.find(run_key(run, \"end\")) is not None",
         "return True"),
     Explorer(launch_and_tick, ORDERS)),
    (Bug("leaves strays running", RUN_DUE, "if not job.ended and _is_stray", "if job.ended and _is_stray"),
     WholeRun(promoted, "none")),
    (Bug("scores without a claim", SCORE_JOB, _CLAIM, ""), Explorer(scored_once, ORDERS)),
    # the rollout and its traffic
    (Bug("numbers a rollout from a second look", DEPLOY, "number = (last.number if last else 0) + 1",
         "number = len(step.ledger.store.folders(f'rollouts/{event.model}/')) + 1"), Explorer(deployed, ORDERS)),
    (Bug("leaves what it gave up without an end", DEPLOY,
         "return _ended_here(rollout, rollout.verdict, step) if rollout.verdict else ()", "return ()"),
     Explorer(failed_deployment, DIES)),
    (Bug("writes traffic as a difference", SHIFT, "wanted = split(rollout.candidate, rollout.base, event.percent)",
         "wanted = {**endpoint.split, rollout.candidate.id: event.percent}"), WholeRun(promoted, "none")),
    (Bug("shifts after a verdict", SHIFT, "return rollout.decision == \"rollback\" or", "return"),
     Explorer(rolled_back_before_shift, ONE_BY_ONE)),
    (Bug("takes a step that was overtaken", SHIFT, "rollout.end is not None or later", "rollout.end is not None"),
     Explorer(overtaken_step, ONE_BY_ONE)),
    (Bug("goes on with a return that it found open and says nothing", RETURN, "return _gone_on(left, attempt, step)",
         "return _brought_back(attempt, step)"), Explorer(return_to_the_version_before, DIES)),
    (Bug("undeploys before the base has the traffic", ROLL_BACK, "    endpoint = _without_traffic(rollout, step)\n",
         "    endpoint = step.cloud.vertex.endpoint(production_endpoint(rollout.model))\n"),
     Explorer(two_rollbacks, ORDERS)),
    (Bug("stops at zero percent", ROLL_BACK, "endpoint.holds(rollout.candidate.id):",
         "endpoint.split.get(rollout.candidate.id):"), Explorer(deployment_and_rollback, ORDERS)),
    (Bug("does not look once the rollout has ended", ROLL_BACK, "    endpoint = _without_traffic(rollout, step)\n",
         "    if rollout.end is not None:\n        return rollout.end.events\n"
         "    endpoint = _without_traffic(rollout, step)\n"), Explorer(deployment_and_rollback, ORDERS)),
    (Bug("rolls back what was promoted", ROLL_BACK, "if verdict.data[\"decision\"] != \"rollback\":", "if False:"),
     Explorer(promotion_and_rollback, ORDERS)),
    (Bug("promotes what was rolled back", ROLLOUTS, "if verdict.data[\"decision\"] != \"promote\":", "if False:"),
     Explorer(promotion_and_rollback, TWICE)),
    (Bug("does not end what was decided", WATCH, "    if not rollout.live:\n",
         "    if rollout.decision == \"promote\":\n        return rollout.end.events if rollout.end else ()\n"
         "    if not rollout.live:\n"), WholeRun(promoted, "monitor_canary.traffic-shifted")),
    (Bug("judges by the last interval alone", JUDGED, "before.data[\"state\"]) if before else",
         "before.data[\"state\"]) if None else"), AnyOrder(promoted)),
    (Bug("undeploys no candidate that was never asked", ROLL_BACK, "endpoint.holds(rollout.candidate.id):",
         "endpoint.split.get(rollout.candidate.id) is not None:"), AnyOrder(rolled_back)),
    (Bug("retires what is still needed", RETIRE, "            if not _needed(event, step):\n",
         "            if True:\n"),
     Explorer(base_retired_early, ONE_BY_ONE)),
    (Bug("does not say a lost shift again", ROLLOUT_DUE,
         "        yield from _said(rollout.shifted[-1], TrafficShifted)\n",
         "        yield from ()\n"), WholeRun(promoted, "none")),
    # people, drift and scores
    (Bug("says no end again that nobody has heard of", RUN_DUE, "unheard = list(step.until_heard(end))",
         "unheard = []"),
     WholeRun(failed, "launch_training.training-failed")),
    (Bug("notes a notice as told before it is", NOTIFY, _TELLS, _TOLD + _TELLS), WholeRun(promoted, "notify")),
    (Bug("says no verdict again", DRIFT, "return standing.events if mine else step.until_heard(standing)",
         "return ()"), Explorer(drifting, DIES)),
    (Bug("lets a scoring job hang", SCORE_JOB, "if not job.ended and step.cloud.now()",
         "if job.ended and step.cloud.now()"),
     WholeRun(scored, "none")),
    (Bug("lets a failed job end the run's attempts", LAUNCH, "        return _start(opened, event.attempt + 1, step)\n",
         "        return ()\n"), WholeRun(rolled_back, "none")),
)  # fmt: skip
