"""What must be true after a soak, read off the buckets and Vertex AI as they are: nothing here knows any handler.

Everything is taken as plain JSON, so that a mistake in the code that wrote it is not repeated in reading it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx

_READERS = 8
_ENDED = {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
READ = ("uploads/", "windows/", "runs/", "rollouts/")
LEFT = {"rolled back", "inconclusive"}
"""How a run ends whose rollout was left: the rollout's end tells people."""
TERMINAL = {"live", "rejected", "failed", *LEFT}
MOST_VERSIONS = 5
"""Of a model: two are kept, two may be older and in a rollout, and one was uploaded since they were counted."""
Records = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """The world after a soak: records by key, keys with the server's times, jobs, versions, endpoints."""

    records: Records
    keys: Mapping[str, str]
    jobs: Sequence[Mapping[str, Any]]
    versions: Sequence[Mapping[str, Any]]
    endpoints: Sequence[Mapping[str, Any]]


def look(environment: Mapping[str, str], known: Records = MappingProxyType({})) -> Found:
    """Reads all of it over REST; records that are known are not read again, as none ever changes."""
    storage, vertex = environment["STORAGE_EMULATOR_HOST"], environment["SERIN_VERTEX_ENDPOINT"]
    place = f"projects/{environment['GOOGLE_CLOUD_PROJECT']}/locations/{environment['SERIN_REGION']}"
    with httpx.Client(timeout=60) as http:
        bucket = f"{storage}/storage/v1/b/{environment['SERIN_STATE_BUCKET']}/o"
        keys = {item["name"]: item["timeCreated"] for item in _pages(http, bucket, "items", {})}
        wanted = [key for key in keys if key.startswith(READ) and key not in known]
        with ThreadPoolExecutor(_READERS) as pool:
            bodies = pool.map(lambda key: http.get(f"{bucket}/{quote(key, safe='')}", params={"alt": "media"}), wanted)
            read = {key: _json(body.raise_for_status().content) for key, body in zip(wanted, bodies, strict=True)}
        listed = {
            name: list(_pages(http, f"{vertex}/v1/{place}/{name}", name, {"pageSize": "100"}))
            for name in ("customJobs", "models", "endpoints")
        }
        versions = [
            version
            for model in listed["models"]
            for version in _pages(http, f"{vertex}/v1/{model['name']}:listVersions", "models", {})
        ]
    return Found({**known, **read}, keys, listed["customJobs"], versions, listed["endpoints"])


def _pages(http: httpx.Client, url: str, field: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    token = ""
    while True:
        answer = http.get(url, params={**query, **({"pageToken": token} if token else {})}).raise_for_status().json()
        yield from answer.get(field, ())
        token = answer.get("nextPageToken", "")
        if not token:
            return


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def unfinished(found: Found, dropped: Mapping[str, int]) -> list[str]:
    """What has not come to its end; `dropped` says how many uploads each model was given, all different."""
    uploads = Counter(key.split("/")[1] for key in found.keys if key.startswith("uploads/"))
    runs = [key.replace("windows/", "runs/", 1) for key in found.keys if key.startswith("windows/")]
    return [
        *(
            f"{model}: {count} uploads, {uploads[model]} records"
            for model, count in dropped.items()
            if uploads[model] < count
        ),
        *(f"{run}: without an end" for run in runs if f"{run}/end" not in found.keys),
        *(f"{job['name']}: still {job['state']}" for job in found.jobs if job["state"] not in _ENDED),
        *_left_deployed(found),
    ]


def _left_deployed(found: Found) -> Iterator[str]:
    """Nothing stands on an endpoint that nobody needs: the arms of an open rollout, or else what is in production."""
    for endpoint in found.endpoints:
        name = endpoint["name"].rsplit("/", 1)[-1]
        needed = set() if name.endswith("-staging") else _needed(found, name.removeprefix("serin-"))
        if left := sorted({each["id"] for each in endpoint.get("deployedModels", ())} - needed):
            yield f"{name}: {', '.join(left)} still deployed"


def _needed(found: Found, model: str) -> set[str]:
    rollouts = [key for key in found.records if key.startswith(f"rollouts/{model}/") and key.endswith("/opened")]
    if not rollouts:
        return set()
    opened = found.records[max(rollouts)]["data"]
    arms = [arm["id"] if arm else "" for arm in (opened["candidate"], opened["base"])]
    end = found.records.get(max(rollouts).replace("/opened", "/end"))
    return set(arms) if end is None else {arms[0] if end["data"]["outcome"] == "promoted" else arms[1]}


def broken(found: Found, dropped: Mapping[str, int], rows_each: int) -> list[str]:
    """Every rule that does not hold for what is there, finished or not."""
    return [
        *_rows(found, dropped, rows_each),
        *_windows(found),
        *_runs(found),
        *_jobs(found),
        *_rollouts(found),
        *_traffic(found),
        *_versions(found),
        *(f"given up: {key}" for key in found.keys if key.startswith("dead-letters/")),
    ]


def _rows(found: Found, dropped: Mapping[str, int], rows_each: int) -> Iterator[str]:
    """No row is lost or counted twice: one accepted record per upload, each in one window or waiting for one."""
    for model, count in dropped.items():
        kept = {key.rsplit("/", 1)[-1]: data for key, data in _below(found, f"uploads/{model}/")}
        accepted = {upload for upload, data in kept.items() if data["verdict"] == "accepted"}
        if len(kept) > count or len(accepted) != len(kept):
            yield f"{model}: {count} uploads, {len(kept)} records, {len(accepted)} accepted"
        rows = sum(data["accepted"] for data in kept.values())
        if rows != len(kept) * rows_each:
            yield f"{model}: {len(kept) * rows_each} rows were recorded, {rows} were counted"
        trained = Counter(each["id"] for _, data in _below(found, f"windows/{model}/") for each in data["uploads"])
        if twice := [upload for upload, times in trained.items() if times > 1]:
            yield f"{model}: uploads in two windows: {twice}"
        closed = len([key for key in found.keys if key.startswith(f"windows/{model}/")])
        waiting = {key.rsplit("/", 1)[-1] for key in found.keys if key.startswith(f"pending/{model}/{closed + 1:06d}/")}
        if lost := accepted - set(trained) - waiting:
            yield f"{model}: {len(lost)} accepted uploads in no window and not waiting"
        if both := waiting & set(trained):
            yield f"{model}: {len(both)} uploads wait though they were trained on"


def _windows(found: Found) -> Iterator[str]:
    for key, data in found.records.items():
        if key.startswith("windows/") and data["data"]["rows"] != sum(each["rows"] for each in data["data"]["uploads"]):
            yield f"{key}: its rows are not the sum of its uploads'"


def _runs(found: Found) -> Iterator[str]:
    """Every run has one end, a known one, and was told of; every deployable one was decided once."""
    for key in found.records:
        if not key.startswith("windows/"):
            continue
        place = key.replace("windows/", "runs/", 1)
        end = found.records.get(f"{place}/end")
        if end is None:
            continue
        if end["data"]["outcome"] not in TERMINAL:
            yield f"{place}: ended as {end['data']['outcome']}"
        elif not _tells(end) and not _tells(_left(found, place)):
            yield f"{place}: nobody was told of its end"
        if end["data"]["outcome"] != "failed" and f"{place}/decision" not in found.records:
            yield f"{place}: ended undecided"


def _left(found: Found, place: str) -> Any:
    """The end of the rollout of a run that ended with it."""
    model, rollout = place.split("/")[1], found.records.get(f"{place}/rollout")
    end = found.records[f"{place}/end"]["data"]["outcome"]
    known = rollout is not None and end in LEFT
    return found.records.get(f"rollouts/{model}/{rollout['data']['rollout']:06d}/end") if known else None


def _tells(record: Any) -> bool:
    """Whether the record says something to people."""
    told = record["events"] if record else ()
    return any(event["attributes"]["ce-type"].endswith("notification.posted.v1") for event in told)


def _jobs(found: Found) -> Iterator[str]:
    """Each attempt has one recorded job, whose others were cancelled."""
    recorded = {
        data["data"]["job"] for key, data in found.records.items()
        if key.startswith("runs/") and key.rsplit("/", 1)[-1].startswith("job-")
    }  # fmt: skip
    for job in found.jobs:
        if job["name"] not in recorded and job["state"] == "JOB_STATE_SUCCEEDED":
            yield f"{job['name']}: ran to its end, and no record names it"
        if job["name"] in recorded and job["state"] == "JOB_STATE_CANCELLED":
            yield f"{job['name']}: the recorded job was cancelled"


def _rollouts(found: Found) -> Iterator[str]:
    """Each version belongs to one run, each rollout was ended."""
    runs = Counter(str(version.get("labels", {}).get("serin-run")) for version in found.versions)
    yield from (f"{run}: {times} versions" for run, times in runs.items() if times > 1)
    for key in found.keys:
        if key.startswith("rollouts/") and key.endswith("/opened"):
            place = key.removesuffix("/opened")
            if f"{place}/end" not in found.keys and f"{place}/verdict" in found.keys:
                yield f"{place}: a verdict without an end"


def _traffic(found: Found) -> Iterator[str]:
    for endpoint in found.endpoints:
        shares = {name: share for name, share in endpoint.get("trafficSplit", {}).items() if share}
        deployed = {each["id"] for each in endpoint.get("deployedModels", ())}
        if shares and sum(map(int, shares.values())) != 100:
            yield f"{endpoint['name']}: the split {shares} does not add up to 100"
        if not set(shares) <= deployed:
            yield f"{endpoint['name']}: the split {shares} names what is not deployed"


def _versions(found: Found) -> Iterator[str]:
    """The registry keeps the newest few versions of a model, those of its newest rollout, and what came since."""
    kept = Counter(version["name"].partition("@")[0].rsplit("/", 1)[-1] for version in found.versions)
    yield from (f"{model}: {count} versions in the registry" for model, count in kept.items() if count > MOST_VERSIONS)


def _below(found: Found, prefix: str) -> Iterator[tuple[str, Any]]:
    return ((key, record["data"]) for key, record in found.records.items() if key.startswith(prefix))
