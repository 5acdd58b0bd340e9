"""Where a model is trained, as a setting: what is asked of a training backend, whichever it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})


@dataclass(frozen=True)
class Job:
    """A training job or a batch prediction job; its `state` is Vertex AI's, without JOB_STATE_, on every backend."""

    name: str
    state: str
    created: datetime
    labels: Mapping[str, str]
    error: str = ""
    output: str = ""
    """Where a batch prediction job has put its results, `gs://<bucket>/<prefix>`; empty before, and of other jobs."""
    began: datetime | None = None
    """When it got its machine and was started; None before."""

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def number(self) -> str:
        """The last part of the name, which the job itself knows: CLOUD_ML_JOB_ID, on Cloud Run CLOUD_RUN_JOB."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class JobOrder:
    """What a training job is to be; the machine, accelerators and `spot` are Vertex AI's, the rest Cloud Run's."""

    display_name: str
    labels: Mapping[str, str]
    image: str
    variables: Mapping[str, str]
    output: str
    machine_type: str
    accelerator_type: str
    accelerator_count: int
    timeout_seconds: int
    service_account: str | None
    spot: bool = False
    cpu: str = "4"
    memory: str = "16Gi"
    retries: int = 0


class TrainingBackend(Protocol):
    """What Serin asks of what runs its training jobs. Raises Transient, Conflict or Refused."""

    def jobs(self, labels: Mapping[str, str]) -> list[Job]:
        """All jobs with these labels, oldest first, in every state."""

    def create_job(self, order: JobOrder) -> Job:
        """Makes a job; never retried here, since a second try could make a second job."""

    def job(self, name: str) -> Job: ...

    def job_log(self, name: str, lines: int) -> tuple[str, ...]:
        """The last lines of a job's output, oldest first."""

    def cancel_job(self, name: str) -> None: ...
