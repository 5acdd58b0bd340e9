"""The thin door to Cloud Run's jobs: one job per training attempt, known by its name, so that it cannot be made twice.

A job is created together with its one execution, by a token that becomes the end of the execution's name: creating is
one request that either happened or did not, and a second one is refused because the name is taken.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.door import Door
from shared.errors import Conflict, Refused, Transient
from shared.identity import rest_client
from shared.job_logs import last_lines
from shared.jobs import Job, JobOrder

if TYPE_CHECKING:
    from shared.environment import Environment

_CALL_TIMEOUT_SECONDS = 30.0
_TOKEN = "x"
_STATES = {
    "EXECUTION_SUCCEEDED": "SUCCEEDED",
    "EXECUTION_FAILED": "FAILED",
    "EXECUTION_CANCELLED": "CANCELLED",
    "EXECUTION_RUNNING": "RUNNING",
}


class CloudRunJobs:
    """Implements shared.jobs.TrainingBackend."""

    kept_jobs = 20
    """Ended jobs of a model, with their logs, for people to look at."""

    def __init__(self, environment: "Environment", door: Door, jobs: Any = None, executions: Any = None) -> None:
        self._given = jobs, executions
        self._environment = environment
        self._door = door
        self._parent = f"projects/{environment.project}/locations/{environment.region}"

    @cached_property
    def _jobs(self) -> Any:
        if self._given[0] is not None:
            return self._given[0]
        from google.cloud import run_v2

        return rest_client(run_v2.JobsClient, self._environment.run_endpoint)

    @cached_property
    def _executions(self) -> Any:
        if self._given[1] is not None:
            return self._given[1]
        from google.cloud import run_v2

        return rest_client(run_v2.ExecutionsClient, self._environment.run_endpoint)

    def jobs(self, labels: Mapping[str, str]) -> list[Job]:
        found = self._door("run.list_jobs", lambda: list(self._jobs.list_jobs(parent=self._parent)))
        wanted = [_job(job) for job in found if labels.items() <= dict(job.labels).items()]
        return sorted(wanted, key=lambda job: (job.created, job.name))

    def create_job(self, order: JobOrder) -> Job:
        request = {"parent": self._parent, "job": self._written(order), "job_id": order.display_name}
        with suppress(Conflict):  # made before, by this very order: the name says so
            self._door(
                "run.create_job",
                lambda: self._jobs.create_job(request=request, retry=None, timeout=_CALL_TIMEOUT_SECONDS),
            )
        self._tidy(order)
        return _job(self._get(f"{self._parent}/jobs/{order.display_name}"))

    def _tidy(self, order: JobOrder) -> None:
        """Deletes the oldest jobs of the model's earlier runs, which have ended: Cloud Run has room for a thousand."""
        ours = self.jobs({"managed-by": "serin", "serin-model": order.labels.get("serin-model", "")})
        earlier = [job for job in ours if job.labels.get("serin-run") != order.labels.get("serin-run")]
        for name in [job.name for job in earlier if job.ended][: -self.kept_jobs]:
            # A run does not wait for its housekeeping: the next one tries again.
            with suppress(Conflict, Refused, Transient):
                self._delete(name)

    def _delete(self, name: str) -> None:
        self._door(
            "run.delete_job", lambda: self._jobs.delete_job(name=name, retry=None, timeout=_CALL_TIMEOUT_SECONDS)
        )

    def job(self, name: str) -> Job:
        found = self._get(name)
        job = _job(found)
        return job if job.state != "FAILED" else self._with_reason(found)

    def job_log(self, name: str, lines: int) -> tuple[str, ...]:
        job = name.rsplit("/", 1)[-1]
        wanted = f'resource.type="cloud_run_job" AND resource.labels.job_name="{job}"'
        return self._door("logging.list", lambda: last_lines(self._environment, wanted, lines))

    def cancel_job(self, name: str) -> None:
        found = self._get(name)
        execution = f"{name}/executions/{found.latest_created_execution.name.rsplit('/', 1)[-1]}"
        self._door("run.cancel_execution", lambda: self._executions.cancel_execution(name=execution))

    def _get(self, name: str) -> Any:
        return self._door("run.get_job", lambda: self._jobs.get_job(name=name))

    def _with_reason(self, job: Any) -> Job:
        execution = f"{job.name}/executions/{job.latest_created_execution.name.rsplit('/', 1)[-1]}"
        found = self._door("run.get_execution", lambda: self._executions.get_execution(name=execution))
        why = "; ".join(each.message for each in found.conditions if each.type_ == "Completed" and each.message)
        return _job(job, why)

    def _written(self, order: JobOrder) -> dict[str, Any]:
        admitted = {"binary_authorization": {"use_default": True}} if self._environment.binary_authorization else {}
        return {**_job_of(order), **admitted}


def _job_of(order: JobOrder) -> dict[str, Any]:
    container = {
        "image": order.image,
        "env": [{"name": name, "value": value} for name, value in sorted(order.variables.items())],
        "resources": {"limits": {"cpu": order.cpu, "memory": order.memory}},
    }
    task = {
        "containers": [container],
        "max_retries": order.retries,
        "timeout": {"seconds": order.timeout_seconds},
        "service_account": order.service_account or "",
    }
    return {
        "labels": dict(order.labels),
        "template": {"task_count": 1, "template": task},
        "start_execution_token": _TOKEN,
    }


def _job(job: Any, error: str = "") -> Job:
    status = job.latest_created_execution.completion_status.name
    return Job(job.name, _STATES.get(status, "PENDING"), job.create_time, dict(job.labels), error)
