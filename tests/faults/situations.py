"""Situations that the explorer plays: a world, and what is delivered in it at once."""

import json
from dataclasses import replace

from bench.situations import SITUATIONS, Situation
from shared.envelope import Envelope, Message
from shared.events import Event, EvidenceReported
from shared.foreign import DATA_UPLOADED
from shared.ids import ModelName, RunId
from shared.ledger import Outcome, rollout_key, run_key, window_key
from shared.serving import Machine
from shared.vertex import VersionOrder
from tests.faults.exploration import Case
from tests.faults.invariants import broken, wrong_at_rest
from tests.faults.scheduler import TICK, Delivery
from tests.faults.windows import SETTINGS, uploads_and_closers
from tests.faults.world import endpoints_of
from tests.functions.standing_rollout import (
    BASE,
    CANDIDATE,
    ENDPOINT,
    MODEL,
    ROLLOUT,
    decide,
    deployed_ids,
    deployed_world,
    opened,
    order,
    put,
    split_of,
    stands,
    under_way,
)  # fmt: skip
from tests.functions.standing_run import RUN, event, ledger, open_run, record
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement

SIGNATURE = {"features": [{"name": "p0", "type": "number"}]}


def of_function(function: str) -> Case:
    """A function's first event, in a world in which it makes it do its real work."""
    return OWN[function]() if function in OWN else _situated(function)


def _situated(function: str) -> Case:
    cloud = MemoryCloud()
    topic, message = SITUATIONS[function](Situation(cloud, ModelName("digits")))
    return Case(cloud, [Delivery(function, topic, message, function)])


def of_event(function: str, topic: str, **changes: object) -> Delivery:
    envelope = event(topic, **changes)
    return Delivery(function, topic, Message(envelope.attributes(), envelope.data()), function)


def said(function: str, payload: Event, name: str) -> Delivery:
    """An event of this name, on its way to a function."""
    envelope = Envelope(name, "//test", MemoryCloud().now(), payload)
    return Delivery(function, payload.topic, Message(envelope.attributes(), envelope.data()), name)


def launching() -> Case:
    """A window that is due. Who slept before making a job, and died after it, leaves one for reconcile to cancel."""
    case = _situated("launch_training")
    return replace(case, again=[*case.deliveries, TICK])


def scoring() -> Case:
    """A file to be scored by the model that answers everything."""
    cloud = under_way(percent=100)
    cloud.data.put(f"settings/{MODEL}.toml", SETTINGS + b"[serving]\nrows_scored_here = 0\n")
    place = CANDIDATE.artefacts.removeprefix("gs://artefacts/")
    cloud.artefacts.put(f"{place}signature.json", json.dumps(SIGNATURE).encode())
    entry = cloud.data.put(f"score/{MODEL}/ask.csv", b"p0\n1\nnot a number\n")
    message = Message(announcement(entry.key, entry.generation), b"{}")
    return Case(cloud, [Delivery("score_batch", DATA_UPLOADED, message, "score_batch")])


def drifting() -> Case:
    """Reports of two replicas of the live model after a period in which much was wrong: drift, said once."""
    cloud = MemoryCloud()
    drift = {"least_labels": 10, "retrain": True, "periods": 1}
    cloud.data.put(f"settings/{MODEL}.toml", SETTINGS + b"[drift]\nleast_labels = 10\nretrain = true\nperiods = 1\n")
    open_run(cloud, drift=drift)
    record(cloud, "decision", {"evaluation": {"challenger": {"accuracy": 0.96}, "rows_judged": 500}})
    opened = {"candidate": CANDIDATE.to_json(), "base": None, "steps": [100]}
    ledger(cloud).record(rollout_key(MODEL, ROLLOUT, "opened"), Outcome(opened))
    ledger(cloud).record(rollout_key(MODEL, ROLLOUT, "shifted/000001"), Outcome({"percent": 100, "split": {"2": 100}}))
    minute = int(cloud.now().timestamp() // 60)
    wrong = {"rows": 100, "labelled": 100, "wrong": 90, "baseline": None, "features": {}, "predictions": {}}
    ledger(cloud).record(
        f"drift/{MODEL}/runs/{RUN}/reports/{minute // 60 - 1:012d}/{minute - 9:012d}-r", Outcome(wrong)
    )
    reports = [
        EvidenceReported(
            model=MODEL, run=RUN, endpoint=f"serin-{MODEL}", deployed_model="2", reporter=f"r{each}",
            interval=minute + 5, report_seconds=60, requests=3, rows=3,
        )
        for each in range(2)
    ]  # fmt: skip
    deliveries = [said("detect_drift", report, f"report-{each}") for each, report in enumerate(reports)]
    return Case(cloud, deliveries, copies=1, goal=drift_was_said_once)


def drift_was_said_once(cloud: MemoryCloud) -> str:
    told = [message.attributes["ce-id"] for topic, message in cloud.bus.history if topic == "drift-detected"]
    asked = [message.attributes["ce-id"] for topic, message in cloud.bus.history if topic == "training-requested"]
    return "" if len(set(told)) == len(set(asked)) == 1 else f"said {sorted(told)}, asked {sorted(asked)}"


def left(cloud: MemoryCloud) -> str:
    """What is wrong with a world in which the rollout was left."""
    production = endpoints_of(cloud)[ENDPOINT]
    if dict(production.split) != {BASE.id: 100}:
        return f"the split is {production.split}"
    if set(production.deployed) != {BASE.id}:
        return f"deployed are {set(production.deployed)}"
    missing = [name for name in ("verdict", "end") if not stands(cloud, name)]
    return f"without {missing}" if missing else ""


def shift_and_rollback() -> Case:
    """A step of the traffic is written while somebody rolls back."""
    cloud = under_way()
    order(cloud, 1, 5)
    shift, leave = of_event("shift_traffic", "traffic-requested"), of_event("roll_back", "rollback-requested")
    return Case(cloud, [leave, shift], copies=1, goal=left)


def shift_and_rollback_on_cloud_run() -> Case:
    """The same where an order is carried out some time after it was taken."""
    cloud = MemoryCloud()
    for run in (RUN, BASE.run):
        open_run(cloud, run, serving={"backend": "cloud_run"}, rollout={"bake_seconds": 3600})
    for arm in (BASE, CANDIDATE):
        cloud.vertex.upload(VersionOrder(MODEL, "serin-serving:test", arm.artefacts, {"serin-run": arm.run}, {}))
        cloud.run_services.deploy(ENDPOINT, arm.id, arm.version, Machine(""), {})
    put(cloud, "opened", opened(BASE))
    ledger(cloud).record(run_key(RUN, "rollout"), Outcome({"rollout": ROLLOUT}))
    order(cloud, 1, 5)
    cloud.services.prompt, cloud.at_once = False, True
    shift, leave = of_event("shift_traffic", "traffic-requested"), of_event("roll_back", "rollback-requested")
    return Case(cloud, [leave, shift], copies=1, goal=left)


def two_rollbacks() -> Case:
    return Case(under_way(25), [of_event("roll_back", "rollback-requested")])


def deployment_and_rollback() -> Case:
    """A rollout is left while its candidate is being deployed."""
    cloud = under_way()
    leave, deploy = of_event("roll_back", "rollback-requested"), of_event("deploy_canary", "smoke-passed")
    return Case(cloud, [leave, deploy], copies=1, goal=left)


def failed_deployment() -> Case:
    """The candidate's deployment has failed, which ends the rollout and the run."""
    cloud = deployed_world(BASE, split={BASE.id: 100})
    put(cloud, "opened", opened())
    put(cloud, "deployment", {"operation": None, "refused": "no machines"})
    record(cloud, "rollout", {"rollout": ROLLOUT})
    return Case(cloud, [of_event("deploy_canary", "smoke-passed")], copies=1)


def return_to_the_version_before() -> Case:
    """A promoted rollout is left: the version before comes back, which is announced, and noted of its rows."""
    cloud = under_way(100)
    open_run(cloud, BASE.run)
    cloud.data.put(f"settings/{MODEL}.toml", SETTINGS)
    ledger(cloud).record(f"settings/{MODEL}/00000000000000000001", Outcome({"valid": True, "settings": {}}))
    decide(cloud, "promote")
    put(cloud, "end", {"outcome": "promoted"})
    for run in (BASE.run, CANDIDATE.run):
        record(cloud, "end", {"outcome": "live", "set_aside": False}, run=run)
    cloud.vertex.undeploy(ENDPOINT, BASE.id)
    return Case(cloud, [of_event("roll_back", "rollback-requested")], copies=1)


def promotion_and_rollback() -> Case:
    """The bake is over, and a person rolls back: one verdict decides, and the end is as it says."""
    cloud = under_way(100)
    cloud.state.delete(window_key(MODEL, 2))
    open_run(cloud, rollout={"bake_seconds": 0})
    open_run(cloud, BASE.run)
    shifted = of_event("monitor_canary", "traffic-shifted", rollout=ROLLOUT, run=RUN, percent=100)
    leave = of_event("roll_back", "rollback-requested")
    return Case(cloud, [shifted, leave], copies=1, goal=one_end, again=[shifted, leave])


def one_end(cloud: MemoryCloud) -> str:
    """What is wrong with the end of a rollout about which two have decided."""
    return broken(cloud) or next(
        (told for told in [wrong_at_rest(cloud)] if "verdict" in told), "" if stands(cloud, "end") else "no end"
    )


def base_retired_early() -> Case:
    """An old order to retire the base comes while the candidate bakes at all of the traffic."""
    cloud = under_way(100)
    retire = of_event("retire_model", "retirement-due", what="base", target=BASE.id)
    goal = lambda world: "" if BASE.id in deployed_ids(world) else "the base is gone"  # noqa: E731
    return Case(cloud, [retire], goal=goal)


def next_run_too_early() -> Case:
    """Training on the second window is asked for while the first run is open."""
    case = uploads_and_closers(1, 0)
    open_run(case.cloud, RunId("digits-000001"))
    wish = of_event("launch_training", "training-requested", window=2)
    second = "windows/digits/000002"
    goal = lambda world: "two runs are open" if second in world.state._generations else ""  # noqa: E731
    return replace(case, deliveries=[*case.deliveries, wish], goal=goal, again=())


def same_content_twice() -> Case:
    """The same rows are dropped under two names at once: they count once."""
    case = uploads_and_closers(0, 0)
    uploads = []
    for name in ("one", "two"):
        entry = case.cloud.data.put(f"data/digits/{name}.csv", b"p0,digit\n1,3\n")
        message = Message(announcement(entry.key, entry.generation), b"{}")
        uploads.append(Delivery("check_rows", DATA_UPLOADED, message, name))
    return replace(case, deliveries=uploads, goal=lambda world: "" if waiting(world) == 1 else f"{waiting(world)} wait")


def waiting(cloud: MemoryCloud) -> int:
    return sum(key.startswith("pending/") for key in cloud.state._generations)


def launch_and_tick() -> Case:
    """A job is made while reconcile looks for strays."""
    case = of_function("launch_training")
    (launch,) = case.deliveries
    return Case(case.cloud, [launch, TICK], copies=1, goal=one_job, again=[launch, TICK])


def one_job(cloud: MemoryCloud) -> str:
    live = [job.name for job in cloud.vertex._jobs.values() if not job.ended]
    return broken(cloud) or ("" if len(live) == 1 else f"{live} run")


def one_job_was_made(cloud: MemoryCloud) -> str:
    """Nobody slept, so nobody needed to make a second job and cancel it."""
    made = [*cloud.vertex._jobs, *cloud.vertex._batch_jobs]
    return broken(cloud) or ("" if len(made) == 1 else f"{made} were made")


def poison() -> Case:
    """A notification that no function can make sense of: refused once, told, and never delivered again."""
    message = Message(announcement("data/nonsense", 1), b"{}")
    return Case(MemoryCloud(), [Delivery("check_rows", DATA_UPLOADED, message, "poison")])


def clocks_apart() -> Case:
    """Two deliveries make a job; the second one's clock is five minutes ahead."""
    return replace(of_function("launch_training"), goal=one_job_was_made, ahead_seconds=300.0)


def acknowledged_is_done() -> Case:
    """Two deliveries make a job, and reconcile does not come: what is acknowledged must have been done by somebody."""
    return replace(of_function("launch_training"), again=())


def rolled_back_before_shift() -> Case:
    """A step is delivered late, after the verdict to roll back and before its end."""
    cloud = under_way()
    order(cloud, 1, 5)
    decide(cloud, "rollback")
    goal = lambda world: "the step was taken" if split_of(world) != {BASE.id: 100} else ""  # noqa: E731
    return Case(cloud, [of_event("shift_traffic", "traffic-requested")], copies=1, goal=goal, again=())


def overtaken_step() -> Case:
    """The first step is delivered again after the second was taken."""
    cloud = under_way(5)
    order(cloud, 2, 25)
    put(cloud, "shifted/000002", {"percent": 25, "split": {CANDIDATE.id: 25, BASE.id: 75}})
    endpoint = cloud.vertex.endpoint(f"serin-{MODEL}")
    assert endpoint is not None
    cloud.vertex.set_split(endpoint, {CANDIDATE.id: 25, BASE.id: 75})
    late = of_event("shift_traffic", "traffic-requested", step=1, percent=5)
    goal = lambda world: "" if split_of(world) == {"2": 25, "1": 75} else f"{split_of(world)}"  # noqa: E731
    return Case(cloud, [late], goal=goal)


OWN = {"launch_training": launching, "score_batch": scoring, "detect_drift": drifting}
