"""What must be true at the end, whatever happened on the way; code of its own, which knows nothing of the handlers."""

import json
from collections import Counter
from typing import Any

from tests.faults.world import events, plain
from tests.world.cloud import MemoryCloud

_MARKS = ("clock", "sweeps")
# An operation that was started: who finds its effect there already goes on without such a record.
_STARTED = ("/deployment", "/upload", "/staging", "/endpoint")


def outcome(cloud: MemoryCloud) -> dict[str, Any]:
    """What came of it: every lasting record's facts, every event's id, and what stands in Vertex AI."""
    records = {
        entry.key: _facts(cloud.state.read(entry.key) or b"")
        for entry in cloud.state.entries("")
        if entry.key.split("/")[0] not in _MARKS and "/claims/" not in entry.key and not entry.key.endswith(_STARTED)
    }
    endpoints = {
        name: (sorted(each.deployed.items()), sorted(each.split.items()))
        for name, each in sorted(cloud.vertex._endpoints.items())
    }
    jobs = Counter(
        (job.labels.get("serin-run"), job.labels.get("serin-attempt"))
        for job in cloud.vertex._jobs.values()
        if not job.ended
    )
    versions = Counter(version.labels.get("serin-run") for kept in cloud.vertex._versions.values() for version in kept)
    return {"records": records, "events": events(cloud), "endpoints": endpoints, "jobs": jobs, "versions": versions}


def difference(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """In what two outcomes differ; nothing if they are the same."""
    told = []
    for part in expected:
        if expected[part] == found[part]:
            continue
        if isinstance(expected[part], dict):
            keys = sorted(map(str, set(expected[part]) ^ set(found[part])))
            both = [key for key in expected[part] if key in found[part] and expected[part][key] != found[part][key]]
            changed = [f"{key}: {expected[part][key]} / {found[part][key]}" for key in both]
            told.append(f"{part}: only in one {keys}, different {changed}")
        else:
            told.append(f"{part}: missing {expected[part] - found[part]}, too many {found[part] - expected[part]}")
    return "; ".join(told)


def broken(cloud: MemoryCloud) -> str:
    """Which rule that holds at every moment does not hold now; nothing if all do."""
    for name, endpoint in cloud.vertex._endpoints.items():
        shares = {key: share for key, share in endpoint.split.items() if share}
        if shares and sum(shares.values()) != 100:
            return f"{name}: the split {shares} does not add up to 100"
        if not set(shares) <= set(endpoint.deployed):
            return f"{name}: the split {shares} names what is not deployed"
    for job in cloud.vertex._jobs.values():
        recorded = _recorded_job(cloud, job.labels)
        if recorded == job.name and job.state == "CANCELLED":
            return f"{job.name}: the recorded job was cancelled"
    return ""


def _recorded_job(cloud: MemoryCloud, labels: Any) -> str | None:
    run = str(labels.get("serin-run", ""))
    model, _, window = run.rpartition("-")
    kept = cloud.state._generations.get(f"runs/{model}/{window}/job-{labels.get('serin-attempt')}")
    return str(json.loads(kept[-1].body)["data"]["job"]) if kept else None


def _facts(body: bytes) -> str:
    try:
        kept = json.loads(body)
    except ValueError:
        return "not a record"
    if not isinstance(kept, dict) or "data" not in kept:
        return plain(body.decode())
    data = {name: value for name, value in kept["data"].items() if name != "seconds"}
    return plain(json.dumps(data, sort_keys=True))
