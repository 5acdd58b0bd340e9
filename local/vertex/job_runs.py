"""Runs custom jobs, each as a process of its image's command.

PENDING ──► RUNNING ──► SUCCEEDED | FAILED          cancel: CANCELLING ──► CANCELLED
   ▲           └ the service was killed: run again, as Vertex AI does after an internal error,
   └─────────────────────────────────── unless the job disables retries: FAILED
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

from local.containers import Containers
from local.documents import Documents, public
from local.errors import CloudError
from local.fields import Document
from local.processes import Child
from local.vertex import jobs
from local.vertex.filters import parsed
from local.vertex.switches import Switches

_CANCEL_GRACE_SECONDS = 3.0
_log = logging.getLogger(__name__)


class Jobs:
    """The custom jobs of every project."""

    def __init__(self, documents: Documents, containers: Containers, switches: Switches) -> None:
        self._documents = documents
        self._containers = containers
        self._switches = switches
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, asyncio.Event] = {}

    def create(self, parent: str, wanted: Document) -> Document:
        name = f"{parent}/customJobs/{self._documents.number()}"
        job = jobs.pending(wanted, name)
        self._containers.check(jobs.container_of(job).image)
        self._save(job)
        self._begin(name)
        return public(job)

    def get(self, name: str) -> Document:
        return public(self._documents.get("CustomJob", name))

    def every(self, parent: str, query: Mapping[str, str]) -> list[Document]:
        """The jobs that meet the filter, newest first."""
        meets = parsed(query.get("filter", ""), jobs.FILTER_FIELDS)
        return [public(job) for job in reversed(self._documents.every("CustomJob", parent)) if meets(job)]

    def cancel(self, name: str) -> None:
        """Asks a job to end; one that has ended stays as it is."""
        job = self._documents.get("CustomJob", name)
        if job["state"] not in jobs.LIVE:
            return
        self._save(jobs.cancelling(job))
        self._cancelled[name].set()

    def log(self, name: str) -> Path:
        """Where a job's output goes."""
        return self._containers.log(f"job-{name.rsplit('/', 1)[-1]}")

    def log_of_number(self, number: str) -> Path | None:
        """The log of the job with this number, whatever its project; None when there is no such job."""
        found = [job for job in self._documents.all_of("CustomJob") if job["name"].endswith(f"/{number}")]
        return self.log(found[0]["name"]) if found else None

    def resume(self) -> None:
        """Carries on with every job that a kill or a stop of the service interrupted."""
        for job in self._documents.live("CustomJob"):
            self._resume_one(job)

    async def stop(self) -> None:
        """Leaves the states as they are, for the next start; the processes are the caller's to end."""
        for run in list(self._runs.values()):
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run

    def _resume_one(self, job: Document) -> None:
        if job["state"] == "JOB_STATE_CANCELLING":
            self._save(jobs.cancelled(job))
        elif job["state"] == "JOB_STATE_RUNNING" and not jobs.container_of(job).retried:
            self._save(jobs.interrupted(job))
        else:
            self._begin(job["name"])

    def _begin(self, name: str) -> None:
        self._cancelled[name] = asyncio.Event()
        self._runs[name] = asyncio.get_running_loop().create_task(self._run(name))
        self._runs[name].add_done_callback(lambda _: self._forget(name))

    def _forget(self, name: str) -> None:
        del self._runs[name], self._cancelled[name]

    async def _run(self, name: str) -> None:
        try:
            await self._run_once(name)
        except Exception:
            # Whatever it was, the job ends: nobody may wait for it for ever.
            _log.exception("a job failed")
            self._save(jobs.interrupted(self._documents.get("CustomJob", name)))

    async def _run_once(self, name: str) -> None:
        job = self._documents.get("CustomJob", name)
        container = jobs.container_of(job)
        if await self._cancelled_while_pending(job):
            self._save(jobs.cancelled(self._documents.get("CustomJob", name)))
            return
        try:
            child = self._containers.start(
                container.image, container.arguments, container.variables, self.log(name).stem
            )
        except CloudError as error:
            self._save(jobs.not_started(job, error.message))
            return
        self._save(jobs.running(job))
        await self._see_through(name, child, container.timeout_seconds)

    async def _cancelled_while_pending(self, job: Document) -> bool:
        """Lets a job wait for its machine as long as is asked for; whether it was cancelled meanwhile."""
        seconds = jobs.pending_seconds(job, self._switches.durations.job_pending_seconds)
        if not seconds:
            return False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cancelled[job["name"]].wait(), seconds)
        return self._cancelled[job["name"]].is_set()

    async def _see_through(self, name: str, child: Child, timeout_seconds: float) -> None:
        """Waits for the first of three: the process ends, the job is cancelled, its time is over."""
        cancelled = asyncio.ensure_future(self._cancelled[name].wait())
        ended = asyncio.ensure_future(child.ended())
        try:
            await asyncio.wait({ended, cancelled}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()
            ended.cancel()
        if (code := child.poll()) is not None:
            return self._save(jobs.exited(self._documents.get("CustomJob", name), code))
        was_cancelled = self._cancelled[name].is_set()
        await asyncio.to_thread(self._containers.processes.stop, child, _CANCEL_GRACE_SECONDS)
        job = self._documents.get("CustomJob", name)
        if was_cancelled:
            return self._save(jobs.cancelled(job))
        return self._save(jobs.overdue(job, self._switches.overdue_job, timeout_seconds))

    def _save(self, job: Document) -> None:
        parent = job["name"].rsplit("/", 2)[0]
        self._documents.put("CustomJob", job["name"], job, parent, live=job["state"] in jobs.LIVE)
