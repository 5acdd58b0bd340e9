"""What a custom job may be, what its container is given, and how its state goes on; the clock aside, pure."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local import fields
from local.documents import timestamp
from local.errors import CloudError, Status
from local.fields import Document

_DEFAULT_TIMEOUT_SECONDS = 7 * 86_400.0
_CODE_CANCELLED, _CODE_INVALID, _CODE_DEADLINE, _CODE_INTERNAL = 1, 3, 4, 13
_SIGNAL_OFFSET = 128  # a shell's and a container's way to tell that a signal ended a process
_POOL = "workerpool0"
# What every replica is told of the others; ours is alone.
_CLUSTER = json.dumps(
    {"cluster": {_POOL: ["127.0.0.1:2222"]}, "environment": "cloud", "task": {"type": _POOL, "index": 0}}
)
LIVE = frozenset({"JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING"})
FILTER_FIELDS = frozenset({"state", "displayName", "createTime", "updateTime", "startTime", "endTime"})


@dataclass(frozen=True)
class Container:
    """What one run of a job starts."""

    image: str
    arguments: tuple[str, ...]
    variables: dict[str, str]
    timeout_seconds: float
    retried: bool


def container_of(job: Document) -> Container:
    """Reads a job's specification: INVALID_ARGUMENT for what Google refuses, UNIMPLEMENTED for what is not here."""
    spec = fields.part(job, "jobSpec")
    pools = [pool for pool in fields.parts(spec, "workerPoolSpecs") if pool]
    if not pools:
        raise CloudError(Status.INVALID_ARGUMENT, "The job needs a worker pool.")
    if len(pools) > 1 or str(pools[0].get("replicaCount", 1)) != "1" or "pythonPackageSpec" in pools[0]:
        raise CloudError(Status.UNIMPLEMENTED, "The local Vertex AI runs one replica of one container per job.")
    container = fields.part(pools[0], "containerSpec")
    scheduling = fields.part(spec, "scheduling")
    return Container(
        image=fields.required_text(container, "imageUri"),
        arguments=(*fields.texts(container, "command"), *fields.texts(container, "args")),
        variables={**fields.environment(container), **_vertex_variables(job, spec)},
        timeout_seconds=fields.duration_seconds(scheduling, "timeout") or _DEFAULT_TIMEOUT_SECONDS,
        retried=not fields.flag(scheduling, "disableRetries"),
    )


def _vertex_variables(job: Document, spec: Document) -> dict[str, str]:
    """What Vertex AI sets itself; the folders only when the job names a base output directory."""
    number = {"CLOUD_ML_JOB_ID": job.get("name", "").rsplit("/", 1)[-1], "CLUSTER_SPEC": _CLUSTER}
    base = fields.text(fields.part(spec, "baseOutputDirectory"), "outputUriPrefix").rstrip("/")
    if not base:
        return number
    return {
        **number,
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
    }


def pending(wanted: Document, name: str) -> Document:
    """A new job."""
    fields.required_text(wanted, "displayName")
    fields.labels(wanted)
    given: Document = {
        key: wanted[key] for key in ("displayName", "jobSpec", "labels", "encryptionSpec") if key in wanted
    }
    now = timestamp()
    return {**given, "name": name, "state": "JOB_STATE_PENDING", "createTime": now, "updateTime": now}


def pending_seconds(job: Document, least_seconds: float) -> float:
    """How much longer a job waits that waits this long at least from its creation."""
    if job["state"] != "JOB_STATE_PENDING" or not least_seconds:
        return 0.0
    waited = datetime.now(UTC) - datetime.fromisoformat(job["createTime"])
    return max(0.0, least_seconds - waited.total_seconds())


def running(job: Document) -> Document:
    """The job once its container has started; a job that is being cancelled stays so."""
    now = timestamp()
    state = "JOB_STATE_RUNNING" if job["state"] == "JOB_STATE_PENDING" else job["state"]
    return {**job, "state": state, "startTime": now, "updateTime": now}


def cancelling(job: Document) -> Document:
    return {**job, "state": "JOB_STATE_CANCELLING", "updateTime": timestamp()}


def exited(job: Document, code: int) -> Document:
    """The job after its container ended by itself."""
    if code == 0:
        return _ended(job, "JOB_STATE_SUCCEEDED")
    status = code if code > 0 else _SIGNAL_OFFSET - code
    message = f"The replica {_POOL}-0 exited with a non-zero status of {status}."
    return _ended(job, "JOB_STATE_FAILED", {"code": _CODE_INVALID, "message": message})


def cancelled(job: Document) -> Document:
    return _ended(job, "JOB_STATE_CANCELLED", {"code": _CODE_CANCELLED, "message": "CANCELED"})


def overdue(job: Document, state: str, timeout_seconds: float) -> Document:
    message = f"The job ran beyond its timeout of {timeout_seconds:g} seconds."
    return _ended(job, state, {"code": _CODE_DEADLINE, "message": message})


def interrupted(job: Document) -> Document:
    """A job whose container was lost and that must not be tried again."""
    return _ended(job, "JOB_STATE_FAILED", {"code": _CODE_INTERNAL, "message": "Internal error encountered."})


def not_started(job: Document, why: str) -> Document:
    return _ended(job, "JOB_STATE_FAILED", {"code": _CODE_INVALID, "message": why})


def _ended(job: Document, state: str, error: dict[str, Any] | None = None) -> Document:
    now = timestamp()
    ended = {**job, "state": state, "endTime": now, "updateTime": now}
    return {**ended, "error": error} if error else ended
