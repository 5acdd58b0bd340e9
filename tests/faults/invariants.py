"""What must be true, whatever happened on the way; code of its own, which knows nothing of the handlers.

`broken` and `unintended` hold at every moment, `unfinished` tells what is still to be done, `wrong_at_rest` holds once
nothing is.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import Any

from shared.events import Notification
from tests.faults.world import endpoints_of, events, jobs_of, plain
from tests.world.cloud import MemoryCloud

_MARKS = ("clock", "sweeps")
# An operation that was started: who finds its effect there already goes on without such a record.
_STARTED = ("/deployment", "/upload", "/staging", "/endpoint")
_OF_RECORD = re.compile(r"(.+)#\d+")
_LEFT = ("rolled back", "inconclusive", "failed")


def outcome(cloud: MemoryCloud) -> dict[str, Any]:
    """What came of it: every lasting record's facts, every event's id, and what stands in Vertex AI."""
    records = {
        entry.key: _facts(cloud.state.read(entry.key) or b"")
        for entry in cloud.state.entries("")
        if entry.key.split("/")[0] not in _MARKS and "/claims/" not in entry.key and not entry.key.endswith(_STARTED)
    }
    endpoints = {
        name: (sorted(each.deployed.items()), sorted(each.split.items()))
        for name, each in sorted(endpoints_of(cloud).items())
    }
    jobs = Counter(
        (job.labels.get("serin-run"), job.labels.get("serin-attempt")) for job in jobs_of(cloud) if not job.ended
    )
    scoring = Counter(job.labels.get("serin-score") for job in cloud.vertex._batch_jobs.values() if not job.ended)
    versions = Counter(version.labels.get("serin-run") for kept in cloud.vertex._versions.values() for version in kept)
    return {
        "records": records, "events": events(cloud), "endpoints": endpoints, "jobs": jobs + scoring,
        "versions": versions, "artefacts": Counter(cloud.artefacts._generations.keys()),
    }  # fmt: skip


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
    return next(filter(None, (*_traffic(cloud), *_jobs(cloud), _said_before_committed(cloud))), "")


def _traffic(cloud: MemoryCloud) -> Iterator[str]:
    """Traffic adds up, goes to what is deployed, and not to what was left; nothing is deployed twice."""
    for name, endpoint in endpoints_of(cloud).items():
        shares = {key: share for key, share in endpoint.split.items() if share}
        if shares and sum(shares.values()) != 100:
            yield f"{name}: the split {shares} does not add up to 100"
        if not set(shares) <= set(endpoint.deployed):
            yield f"{name}: the split {shares} names what is not deployed"
        model = name.removeprefix("serin-")
        anew = {key: version for key, version in endpoint.deployed.items() if not _came_back(cloud, model, key)}
        if len(set(anew.values())) < len(anew):
            yield f"{name}: a version is deployed twice: {endpoint.deployed}"
        if cloud.vertex.honours_etags:
            left = [key for key in shares if _rollout_was_left(cloud, model, key)]
            yield f"{name}: {left} was left and has traffic" if left else ""
        if endpoint.deployed and not shares and _was_shifted(cloud, model):
            yield f"{name}: nobody answers"


def unintended(cloud: MemoryCloud) -> str:
    """What stands in production and was not recorded before as intended, in a world that began empty."""
    return next(_unintended(cloud), "")


def _unintended(cloud: MemoryCloud) -> Iterator[str]:
    """Nothing is deployed without a rollout that was opened before, and nobody has a share that was not ordered."""
    for name, endpoint in endpoints_of(cloud).items():
        model = name.removeprefix("serin-")
        for deployed in () if name.endswith("-staging") else endpoint.deployed:
            place = f"rollouts/{model}/{int(deployed):06d}"
            if f"{place}/opened" not in cloud.state._generations:
                yield f"{name}: {deployed} is deployed, and no rollout of that number was opened"
        if endpoint.split and not name.endswith("-staging"):
            newest = max(endpoint.split, key=int)
            share = endpoint.split[newest]
            if share not in {0, 100} and share not in _ordered_shares(cloud, model, int(newest)):
                yield f"{name}: {newest} has {share} % of the traffic, which nobody has ordered"


def _ordered_shares(cloud: MemoryCloud, model: str, rollout: int) -> set[int]:
    prefix = f"rollouts/{model}/{rollout:06d}/steps/"
    steps = [kept for key, kept in cloud.state._generations.items() if key.startswith(prefix)]
    return {parsed(kept[-1].body)["data"]["percent"] for kept in steps}


def _rollout_was_left(cloud: MemoryCloud, model: str, deployed: str) -> bool:
    end = data_of(cloud, f"rollouts/{model}/{int(deployed):06d}/end")
    return end is not None and end.get("outcome") in _LEFT


def _came_back(cloud: MemoryCloud, model: str, deployed: str) -> bool:
    opened = data_of(cloud, f"rollouts/{model}/{int(deployed):06d}/opened")
    return opened is not None and opened.get("returns") is not None


def _was_shifted(cloud: MemoryCloud, model: str) -> bool:
    return any(key.startswith(f"rollouts/{model}/") and "/shifted/" in key for key in cloud.state._generations)


def _jobs(cloud: MemoryCloud) -> Iterator[str]:
    """The recorded job of an attempt is never cancelled; no job is made without a claim."""
    for job in jobs_of(cloud):
        key = _job_key(job.labels)
        made = data_of(cloud, key)
        if made is not None and made["job"] == job.name and job.state == "CANCELLED":
            yield f"{job.name}: the recorded job was cancelled"
        if f"{key}/claims/000001" not in cloud.state._generations and made is None:
            yield f"{job.name}: made without a claim"


def _said_before_committed(cloud: MemoryCloud) -> str:
    """The last event that was published, if it is of a record that does not stand."""
    if not cloud.bus.history:
        return ""
    told = cloud.bus.history[-1][1].attributes
    found = _OF_RECORD.fullmatch(told.get("ce-id", ""))
    if found is None or found[1] in cloud.state._generations or not told["ce-source"].startswith("//serin/"):
        return ""
    return f"{told['ce-id']}: published before its record stood"


def unfinished(cloud: MemoryCloud) -> str:
    """What is still to be done: an open run, an open rollout, what nobody recorded, what nobody needs any more."""
    keys = cloud.state._generations
    for key in keys:
        parts = key.split("/")
        if parts[0] == "windows" and f"runs/{parts[1]}/{parts[2]}/end" not in keys:
            return f"run {parts[1]}-{parts[2]} has no end"
        if parts[0] == "rollouts" and parts[-1] == "opened" and f"{key.removesuffix('opened')}end" not in keys:
            return f"{key.removesuffix('/opened')} has no end"
        if parts[0] == "pending" and parts[-2] == f"{_last_window(cloud, parts[1]) + 1:06d}":
            return f"{key} waits"
        if parts[0] == "scores" and parts[-1] != "end" and f"scores/{parts[1]}/{parts[2]}/end" not in keys:
            return f"{key} has no end"
    dropped = sum(name.startswith("data/") for name in cloud.data._generations)
    recorded = sum(key.startswith("uploads/") for key in keys)
    if dropped != recorded:
        return f"{dropped} uploads, {recorded} records of them"
    scored = sum(key.startswith("scores/") and key.endswith("/end") for key in keys)
    if scored != sum(name.startswith("score/") for name in cloud.data._generations):
        return "a file to be scored has no end"
    return _left_behind(cloud)


def _left_behind(cloud: MemoryCloud) -> str:
    for name, endpoint in endpoints_of(cloud).items():
        needed = 0 if name.endswith("-staging") else 1
        if len(endpoint.deployed) > needed:
            return f"{name}: {sorted(endpoint.deployed)} are deployed"
    live = [job.name for job in jobs_of(cloud) if not job.ended]
    return f"{live} run" if live else ""


def wrong_at_rest(cloud: MemoryCloud) -> str:
    """Which rule that holds once nothing is left to be done does not hold; nothing if all do."""
    return next(filter(None, (*_rows(cloud), *_refused(cloud), *_attempts(cloud), *_runs(cloud), *_order(cloud))), "")


def _rows(cloud: MemoryCloud) -> Iterator[str]:
    """Every accepted upload is in exactly one window, with all its accepted rows."""
    listed: Counter[str] = Counter()
    rows: dict[str, int] = {}
    for _, window in records(cloud, "windows"):
        listed.update(upload["id"] for upload in window["uploads"])
        rows |= {upload["id"]: upload["rows"] for upload in window["uploads"]}
    for key, upload in records(cloud, "uploads"):
        name = key.rsplit("/", 1)[-1]
        expected = 1 if upload["verdict"] == "accepted" else 0
        if listed[name] != expected:
            yield f"{key} ({upload['verdict']}) is in {listed[name]} windows"
        elif expected and rows[name] != upload["accepted"]:
            yield f"{key}: {upload['accepted']} rows were accepted, {rows[name]} are in its window"


def _refused(cloud: MemoryCloud) -> Iterator[str]:
    """Who dropped what was not accepted is told so, with the reasons."""
    for key, upload in records(cloud, "uploads"):
        events = parsed(cloud.state._generations[key][-1].body)["events"]
        reasons = [reason for event in events for reason in event["data"].get("why", ())]
        if upload["verdict"] == "rejected" and not reasons:
            yield f"{key} was rejected, and nobody is told why"


def _attempts(cloud: MemoryCloud) -> Iterator[str]:
    """One job of an attempt was left to run: the recorded one."""
    for job in jobs_of(cloud):
        made = data_of(cloud, _job_key(job.labels))
        if job.state != "CANCELLED" and (made is None or made["job"] != job.name):
            yield f"{job.name} ran, and is not the recorded one"


def _runs(cloud: MemoryCloud) -> Iterator[str]:
    """A decision rests on a recorded job; what is live was promoted or left again."""
    for key, decision in records(cloud, "runs", "decision"):
        made = data_of(cloud, f"{key.removesuffix('decision')}job-{decision['attempt']}")
        if made is None or made["job"].rsplit("/", 1)[-1] != str(decision["job"]).rsplit("/", 1)[-1]:
            yield f"{key}: decided on {decision['job']}, recorded is {made}"
    for key, rollout in records(cloud, "rollouts", "end"):
        verdict = data_of(cloud, f"{key.removesuffix('end')}verdict")
        promoted = rollout["outcome"] == "promoted"
        if verdict is None or promoted != (verdict["decision"] == "promote"):
            yield f"{key}: {rollout['outcome']}, the verdict is {verdict}"


def _order(cloud: MemoryCloud) -> Iterator[str]:
    """Windows, rollouts and steps are numbered without a gap; no step was seen that was not ordered."""
    series: dict[str, list[int]] = {}
    for key in cloud.state._generations:
        parts = key.split("/")
        if parts[0] == "windows" or (parts[0] == "rollouts" and parts[3] == "steps"):
            series.setdefault("/".join(parts[:-1]), []).append(int(parts[-1]))
        if parts[0] == "rollouts" and parts[3] == "shifted" and key.replace("shifted", "steps") not in (
            cloud.state._generations
        ):  # fmt: skip
            yield f"{key} was seen and not ordered"
    for name, numbers in series.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield f"{name}: {sorted(numbers)}"


def unsaid(cloud: MemoryCloud, said: Set[str], heard: Set[str], of_ends_only: bool = False) -> str:
    """An event that a record holds and nobody has published, or a notice that no channel has heard.

    What others say may get lost with the last delivery; how a run or a rollout has ended, if people are told, may not.
    """
    for key, kept in cloud.state._generations.items():
        told = parsed(kept[-1].body).get("events", ())
        if of_ends_only and not (_is_end(key) and any(_is_notice(event) for event in told)):
            continue
        for event in told:
            identity, notice = event["attributes"]["ce-id"], _is_notice(event)
            if identity not in said:
                return f"{key}: {identity} was never published"
            if notice and identity not in heard:
                return f"{key}: {identity} was told to nobody"
    return ""


def _is_end(key: str) -> bool:
    return key.startswith(("runs/", "rollouts/")) and key.endswith("/end")


def _is_notice(event: Mapping[str, Any]) -> bool:
    return bool(event["attributes"]["ce-type"] == Notification.type_name())


def data_of(cloud: MemoryCloud, key: str) -> Any:
    """The facts of a record, or None."""
    kept = cloud.state._generations.get(key)
    return parsed(kept[-1].body)["data"] if kept else None


def records(cloud: MemoryCloud, kind: str, name: str = "") -> Iterator[tuple[str, Any]]:
    """The records of a kind, those of one name if it is given."""
    for key, kept in cloud.state._generations.items():
        parts = key.split("/")
        if parts[0] == kind and name in ("", parts[-1]):
            yield key, parsed(kept[-1].body).get("data", {})


@cache
def parsed(body: bytes) -> Any:
    """The record in an object; an empty one for what is none."""
    try:
        kept = json.loads(body)
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) and "data" in kept else {}


def _job_key(labels: Mapping[str, str]) -> str:
    model, _, window = labels.get("serin-run", "").rpartition("-")
    return f"runs/{model}/{window}/job-{labels.get('serin-attempt')}"


def _last_window(cloud: MemoryCloud, model: str) -> int:
    return sum(key.startswith(f"windows/{model}/") for key in cloud.state._generations)


def _facts(body: bytes) -> str:
    try:
        kept = json.loads(body)
    except ValueError:
        return "not a record"
    if not isinstance(kept, dict) or "data" not in kept:
        return plain(body.decode())
    data = {name: value for name, value in kept["data"].items() if name != "seconds"}
    return plain(json.dumps(data, sort_keys=True))
