"""A rollout as the functions of the traffic find it: its records in the ledger, its two arms on the endpoint."""

from typing import Any

from shared.events import TrafficRequested
from shared.ids import ModelName, RunId
from shared.ledger import Outcome, Record, rollout_key, run_key
from shared.rollouts import Deployed, production_endpoint
from shared.serving import Machine
from shared.vertex import VersionOrder
from tests.functions.standing_run import RUN, ledger, open_run
from tests.world.cloud import MemoryCloud

MODEL = ModelName("digits")
ROLLOUT = 2
ENDPOINT = production_endpoint(MODEL)
BASE = Deployed("1", "projects/p/locations/l/models/digits@1", RunId("digits-000001"), "gs://artefacts/digits/1/")
CANDIDATE = Deployed("2", "projects/p/locations/l/models/digits@2", RUN, "gs://artefacts/digits/2/")


def deployed_world(*arms: Deployed, split: dict[str, int]) -> MemoryCloud:
    """A world with these arms on the production endpoint and the run's window closed."""
    cloud = MemoryCloud()
    open_run(cloud, rollout={"bake_seconds": 3600})
    cloud.vertex.create_endpoint(ENDPOINT)
    for arm in arms:
        version = VersionOrder(MODEL, "serin-serving:test", arm.artefacts, {"serin-run": arm.run}, {})
        cloud.vertex.upload(version)
        cloud.vertex.deploy(ENDPOINT, arm.id, arm.version, Machine("n1"), {})
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    if split:
        cloud.vertex.set_split(endpoint, split)
    cloud.door.effects.clear()
    return cloud


def under_way(percent: int | None = None, base: Deployed | None = BASE) -> MemoryCloud:
    """A world whose second rollout is open: dark, or with its candidate at this share."""
    arms = [each for each in (base, CANDIDATE) if each is not None]
    split = {BASE.id: 100} if base else {}
    if percent is not None:
        split = {CANDIDATE.id: percent, BASE.id: 100 - percent}
    cloud = deployed_world(*arms, split={key: share for key, share in split.items() if share})
    put(cloud, "opened", opened(base))
    ledger(cloud).record(run_key(RUN, "rollout"), Outcome({"rollout": ROLLOUT}))
    if percent is not None:
        order(cloud, 1, percent)
        put(cloud, "shifted/000001", {"percent": percent, "split": split})
    cloud.door.effects.clear()
    return cloud


def opened(base: Deployed | None = BASE) -> dict[str, Any]:
    kept = base.to_json() if base else None
    return {"run": RUN, "candidate": CANDIDATE.to_json(), "base": kept, "steps": [5, 25, 50, 100]}


def order(cloud: MemoryCloud, step: int, percent: int) -> Record:
    """The order of one step of the traffic."""
    asked = TrafficRequested(model=MODEL, run=RUN, rollout=ROLLOUT, step=step, percent=percent)
    return put(cloud, f"steps/{step:06d}", {"percent": percent}, asked)


def decide(cloud: MemoryCloud, decision: str) -> Record:
    """The verdict on the rollout."""
    data = {"decision": decision, "by": "ada@example.org", "because": "why not", "set_aside": False, "numbers": {}}
    return put(cloud, "verdict", data)


def put(cloud: MemoryCloud, name: str, data: dict[str, Any], *events: Any) -> Record:
    return ledger(cloud).record(rollout_key(MODEL, ROLLOUT, name), Outcome(data, events))


def stands(cloud: MemoryCloud, name: str) -> bool:
    return ledger(cloud).find(rollout_key(MODEL, ROLLOUT, name)) is not None


def split_of(cloud: MemoryCloud) -> dict[str, int]:
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    assert endpoint is not None
    assert not endpoint.split or sum(endpoint.split.values()) == 100
    assert set(endpoint.split) <= set(endpoint.deployed)
    return {key: share for key, share in endpoint.split.items() if share}


def deployed_ids(cloud: MemoryCloud) -> set[str]:
    endpoint = cloud.vertex.endpoint(ENDPOINT)
    return set(endpoint.deployed) if endpoint else set()
