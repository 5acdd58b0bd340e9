"""The world in memory as the explorer needs it: cheap to copy, and its state in one value."""

import copy
import hashlib
import re
from collections.abc import Hashable
from functools import cache
from typing import Any

from shared.jobs import Job
from shared.serving import Endpoint
from tests.world.cloud import MemoryCloud

_VOLATILE = re.compile(
    r"(customJobs|batchPredictionJobs|operations)/\d+|etag-\d+|\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)?|token-\d+|traceparent[^,]*"
)


_OF_SERVICES = ("services", "fates", "_pending", "_operations")
_OF_VERTEX = (
    "_jobs", "_batch_jobs", "_versions", "_last_versions", "_endpoints", "_operations", "_pending", "fates", "orders",
    "uploads", "batches", "logs",
)  # fmt: skip


def copied(cloud: MemoryCloud, door: Any) -> MemoryCloud:
    """The same world with another door, its past effects forgotten."""
    made = MemoryCloud(door=door)
    made.environment = cloud.environment
    made.time = cloud.time
    made._tokens = cloud._tokens
    for name in ("data", "state", "artefacts"):
        store, source = getattr(made, name), getattr(cloud, name)
        store._generations = {key: list(kept) for key, kept in source._generations.items()}
        store._last_generation = source._last_generation
    for name in _OF_VERTEX:
        setattr(made.vertex, name, copy.copy(getattr(cloud.vertex, name)))
    made.vertex._versions = {model: list(kept) for model, kept in cloud.vertex._versions.items()}
    for name in _OF_SERVICES:
        setattr(made.services, name, dict(getattr(cloud.services, name)))
    for name in ("found", "reasons", "logs"):
        setattr(made.jobs, name, dict(getattr(cloud.jobs, name)))
    for name in ("_numbers", "prompt", "honours_etags", "predict_version"):
        setattr(made.vertex, name, getattr(cloud.vertex, name))
        setattr(made.services, name, getattr(cloud.services, name))
    made.at_once = cloud.at_once
    return made


def digest(cloud: MemoryCloud) -> Hashable:
    """The state of the world in one value."""
    kept = hashlib.sha256()
    for store in (cloud.data, cloud.state, cloud.artefacts):
        for entry in sorted(store._generations.items()):
            kept.update(entry[0].encode())
            kept.update(entry[1][-1].body)
    kept.update(repr(vertex_state(cloud)).encode())
    kept.update(repr(sorted(events(cloud))).encode())
    kept.update(str(cloud.time).encode())
    return kept.digest()


def lasting(cloud: MemoryCloud) -> Hashable:
    """What stays: the keys that stand, without marks of time, and what is in Vertex AI."""
    marks = ("clock/", "sweeps/")
    keys = [key for key in cloud.state._generations if not key.startswith(marks) and "/claims/" not in key]
    return tuple(sorted(keys)), vertex_state(cloud)


def restless(cloud: MemoryCloud) -> Hashable:
    """Like `lasting` with what the records say, marks of time, tokens and numbers of jobs left out."""
    marks = ("clock", "sweeps")
    records = frozenset(
        (entry, _plain_digest(kept[-1].body))
        for entry, kept in cloud.state._generations.items()
        if entry.split("/")[0] not in marks and "/claims/" not in entry
    )
    artefacts = frozenset(cloud.artefacts._generations)
    return records, artefacts, plain(repr(vertex_state(cloud)))


@cache
def _plain_digest(body: bytes) -> bytes:
    return hashlib.sha256(plain(body.decode()).encode()).digest()


def vertex_state(cloud: MemoryCloud) -> Hashable:
    """Jobs, versions and endpoints of both backends, without etags."""
    vertex = cloud.vertex
    jobs = sorted((job.name, job.state) for job in jobs_of(cloud))
    versions = sorted(
        (version.name, version.default, *version.labels.items())
        for kept in vertex._versions.values()
        for version in kept
    )
    endpoints = sorted(
        (each.name, sorted(each.deployed), sorted(each.split.items())) for each in endpoints_of(cloud).values()
    )
    ordered = sorted((name, repr(each.traffic)) for name, each in cloud.services.services.items())
    return repr((jobs, versions, endpoints, ordered))


def endpoints_of(cloud: MemoryCloud) -> dict[str, Endpoint]:
    """What answers, by its name, on either backend, as it is and not as it was ordered."""
    return (
        {**cloud.vertex._endpoints, **cloud.services.endpoints()}
        if cloud.services.services
        else (cloud.vertex._endpoints)
    )


def jobs_of(cloud: MemoryCloud) -> list[Job]:
    """The training jobs of both backends."""
    return [*cloud.vertex._jobs.values(), *cloud.jobs.jobs()]


def events(cloud: MemoryCloud) -> set[str]:
    """The ids of our events that were published."""
    return {message.attributes["ce-id"] for _, message in cloud.bus.history if "ce-id" in message.attributes}


def plain(text: str) -> str:
    """A text without what may differ between two runs that come to the same: numbers of jobs, times, tokens."""
    return _VOLATILE.sub("~", text)
