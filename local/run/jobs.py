"""Jobs and their one execution: a process per attempt, tried again as often as the job allows.

PENDING ──► RUNNING ──► SUCCEEDED | FAILED          cancel: ──► CANCELLED
   ▲           └ exit status not 0, time over, or the service was killed: again, up to maxRetries; then FAILED
"""

import asyncio
import contextlib
import re

from local import fields
from local.containers import Containers
from local.documents import Documents, public, timestamp
from local.errors import CloudError, Status
from local.fields import Document
from local.processes import Child
from local.rest import Query
from local.run.operations import Operations

_JOB_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_TIMEOUT_SECONDS, _DEFAULT_RETRIES = 600.0, 3
_CANCEL_GRACE_SECONDS = 3.0
_LIVE = ("EXECUTION_PENDING", "EXECUTION_RUNNING")


class Jobs:
    """The jobs of every project."""

    def __init__(self, documents: Documents, operations: Operations, containers: Containers) -> None:
        self._documents = documents
        self._operations = operations
        self._containers = containers
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, asyncio.Event] = {}

    def create(self, parent: str, wanted: Document, query: Query) -> Document:
        """Makes a job, and with a token its first execution, named by it."""
        identity = query.get("jobId", "")
        if not _JOB_ID.fullmatch(identity):
            raise CloudError(Status.INVALID_ARGUMENT, f"Violation in CreateJobRequest.job_id: {identity[:100]!r}")
        name = f"{parent}/jobs/{identity}"
        if self._documents.find("Job", name) is not None:
            raise CloudError(Status.ALREADY_EXISTS, f"Resource '{identity}' already exists.")
        fields.labels(wanted)
        self._containers.check(fields.required_text(_container(wanted), "image"))
        job = {**wanted, "name": name, "createTime": timestamp(), "executionCount": 0}
        operation = self._operations.begin(parent, name)
        self._save(job)
        if token := fields.text(wanted, "startExecutionToken"):
            self._execute(job, f"{identity}-{token}")
        self._operations.end(name, "Job", self.get(name))
        return operation

    def run(self, name: str, _wanted: Document) -> Document:
        """Starts another execution of a job."""
        job = self._documents.get("Job", name)
        operation = self._operations.begin(name.rsplit("/", 2)[0], name)
        self._execute(job, f"{name.rsplit('/', 1)[-1]}-{self._documents.number('execution')}")
        self._operations.end(name, "Execution", {})
        return operation

    def get(self, name: str) -> Document:
        return public(self._documents.get("Job", name))

    def every(self, parent: str) -> list[Document]:
        """The jobs, newest first."""
        return [public(job) for job in reversed(self._documents.every("Job", parent))]

    def delete(self, name: str) -> Document:
        """Deletes a job with its executions; not while one of them runs."""
        job, executions = self._documents.get("Job", name), self._documents.every("Execution", name)
        if any(each["_status"] in _LIVE for each in executions):
            raise CloudError(Status.FAILED_PRECONDITION, f"Job {name.rsplit('/', 1)[-1]} has a running execution.")
        operation = self._operations.begin(name.rsplit("/", 2)[0], name)
        for each in executions:
            self._documents.delete("Execution", each["name"])
        self._documents.delete("Job", name)
        self._operations.end(name, "Job", public(job))
        return operation

    def execution(self, name: str) -> Document:
        return public(self._documents.get("Execution", name))

    def executions(self, job: str) -> list[Document]:
        return [public(each) for each in reversed(self._documents.every("Execution", job))]

    def cancel(self, name: str) -> Document:
        """Asks an execution to end; one that has ended cannot be cancelled."""
        execution = self._documents.get("Execution", name)
        if execution["_status"] not in _LIVE:
            raise CloudError(Status.FAILED_PRECONDITION, f"Execution {name.rsplit('/', 1)[-1]} has ended.")
        operation = self._operations.begin(name.rsplit("/", 4)[0], name)
        self._cancelled[name].set()
        self._operations.end(name, "Execution", public(execution))
        return operation

    def resume(self) -> None:
        """Starts again what a kill of the service interrupted; that counts as an attempt."""
        for execution in self._documents.live("Execution"):
            self._begin(execution["name"])

    async def stop(self) -> None:
        """Leaves the states as they are, for the next start; the processes are the caller's to end."""
        for run in list(self._runs.values()):
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run

    def _execute(self, job: Document, identity: str) -> None:
        name = f"{job['name']}/executions/{identity}"
        execution = {"name": name, "job": job["name"].rsplit("/", 1)[-1], "createTime": timestamp(), "taskCount": 1}
        self._told(name, {**execution, "_attempts": 0}, "EXECUTION_PENDING")
        self._begin(name)

    def _begin(self, name: str) -> None:
        self._cancelled[name] = asyncio.Event()
        self._runs[name] = asyncio.get_running_loop().create_task(self._run(name))

    async def _run(self, name: str) -> None:
        job = self._documents.get("Job", name.rsplit("/executions/", 1)[0])
        task = _task(job)
        retries = int(task.get("maxRetries", _DEFAULT_RETRIES))
        why = ""
        while (execution := self._documents.get("Execution", name))["_attempts"] <= retries:
            self._told(name, {**execution, "_attempts": execution["_attempts"] + 1}, "EXECUTION_RUNNING")
            why = await self._attempt(name, execution["_attempts"], job)
            if self._cancelled[name].is_set():
                return self._ended(name, "EXECUTION_CANCELLED", "The execution was cancelled.")
            if not why:
                return self._ended(name, "EXECUTION_SUCCEEDED", "")
        message = f"Task {name.rsplit('/', 1)[-1]}-task0 failed with message: {why or 'Internal error encountered.'}"
        return self._ended(name, "EXECUTION_FAILED", message)

    async def _attempt(self, name: str, attempt: int, job: Document) -> str:
        """Why an attempt failed; nothing if it succeeded or was cancelled."""
        container, identity = _container(job), job["name"].rsplit("/", 1)[-1]
        own = {
            "CLOUD_RUN_JOB": identity, "CLOUD_RUN_EXECUTION": name.rsplit("/", 1)[-1], "CLOUD_RUN_TASK_INDEX": "0",
            "CLOUD_RUN_TASK_COUNT": "1", "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
        }  # fmt: skip
        arguments = (*fields.texts(container, "command"), *fields.texts(container, "args"))
        variables = {**fields.environment(container), **own}
        try:
            child = self._containers.start(container["image"], arguments, variables, f"job-{identity}")
        except CloudError as error:
            return error.message
        timeout = fields.duration_seconds(_task(job), "timeout") or _DEFAULT_TIMEOUT_SECONDS
        return await self._see_through(name, child, timeout)

    async def _see_through(self, name: str, child: Child, timeout_seconds: float) -> str:
        cancelled = asyncio.ensure_future(self._cancelled[name].wait())
        ended = asyncio.ensure_future(child.ended())
        try:
            await asyncio.wait({ended, cancelled}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()
            ended.cancel()
        if (code := child.poll()) is not None:
            return f"The container exited with an error: exit status {code}." if code else ""
        await asyncio.to_thread(self._containers.processes.stop, child, _CANCEL_GRACE_SECONDS)
        return "" if self._cancelled[name].is_set() else f"The attempt ran beyond its {timeout_seconds:g} seconds."

    def _ended(self, name: str, status: str, message: str) -> None:
        succeeded = status == "EXECUTION_SUCCEEDED"
        state = "CONDITION_SUCCEEDED" if succeeded else "CONDITION_FAILED"
        told: Document = {
            "completionTime": timestamp(),
            "conditions": [{"type": "Completed", "state": state, "message": message}],
            "succeededCount": int(succeeded), "failedCount": int(status == "EXECUTION_FAILED"),
            "cancelledCount": int(status == "EXECUTION_CANCELLED"),
        }  # fmt: skip
        self._told(name, {**self._documents.get("Execution", name), **told}, status)
        self._runs.pop(name, None)

    def _told(self, name: str, execution: Document, status: str) -> None:
        """Keeps an execution, and what its job tells of it."""
        owner, identity = name.rsplit("/executions/", 1)
        self._documents.put("Execution", name, {**execution, "_status": status}, owner, live=status in _LIVE)
        told: Document = {key: execution[key] for key in ("createTime", "completionTime") if key in execution}
        job = self._documents.get("Job", owner)
        count = len(self._documents.every("Execution", owner))
        latest: Document = {"name": identity, "completionStatus": status, **told}
        self._save({**job, "latestCreatedExecution": latest, "executionCount": count})

    def _save(self, job: Document) -> None:
        self._documents.put("Job", job["name"], job, job["name"].rsplit("/", 2)[0])


def _task(job: Document) -> Document:
    return fields.part(fields.part(job, "template"), "template")


def _container(job: Document) -> Document:
    containers = fields.parts(_task(job), "containers")
    if len(containers) != 1:
        raise CloudError(Status.UNIMPLEMENTED, "The local Cloud Run runs one container per job.")
    return containers[0]
