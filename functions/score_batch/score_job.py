"""One recorded batch prediction job per file, although creating one can be neither made idempotent nor fenced.

claim ─► list by label ─► adopt the oldest or create ─► record ─► another's? cancel mine
                                                           └ stood already, or the end: cancel whatever else runs
"""

from collections.abc import Mapping
from datetime import timedelta

from shared.errors import BadInput, Refused
from shared.ids import ModelName
from shared.jobs import Job
from shared.ledger import Outcome, Record, score_key
from shared.step import Step
from shared.vertex import BatchOrder

MAX_AGE = timedelta(hours=24)  # a job has no timeout of its own; who has waited that long wants to know


def job_of(model: ModelName, upload: str, order: BatchOrder, step: Step) -> Job:
    """The one job of a file, made now unless it was; one that is too old is cancelled.

    Raises NotYet while somebody else makes it, BadInput when Vertex AI refuses it for good.
    """
    key = score_key(model, upload, "job")
    standing = step.ledger.find(key)
    recorded = standing or _made(key, order, step)
    try:
        if standing is not None:
            cancel_strays(standing, order.labels, step)
        job = step.cloud.vertex.batch_job(recorded.data["job"])
        if not job.ended and step.cloud.now() - job.created > MAX_AGE:
            step.cloud.vertex.cancel_batch_job(job.name)
    except Refused as refused:
        raise _final(refused) from refused
    return job


def _made(key: str, order: BatchOrder, step: Step) -> Record:
    vertex = step.cloud.vertex
    step.ledger.claim(key, step.cloud.environment.lease_seconds)
    visible = vertex.batch_jobs(order.labels)
    try:
        job = visible[0] if visible else vertex.create_batch_job(order)
    except Refused as refused:
        raise _final(refused) from refused
    recorded = step.ledger.once(key, lambda: Outcome({"job": job.name}))
    if recorded.data["job"] != job.name and not job.ended:
        vertex.cancel_batch_job(job.name)
    return recorded


def cancel_strays(recorded: Record | None, labels: Mapping[str, str], step: Step) -> None:
    """Who slept before creating a job, and died before recording it, comes again and finds another's, or the end."""
    for job in step.cloud.vertex.batch_jobs(labels):
        if not job.ended and (recorded is None or job.name != recorded.data["job"]):
            step.cloud.vertex.cancel_batch_job(job.name)


def _final(refused: Refused) -> Exception:
    """A missing permission may still come; whatever else is refused stays so."""
    return refused if refused.reason.startswith("status 403") else BadInput("job", [str(refused)])
