"""Runs batch prediction jobs: a version's container of its own for each, asked for every instance, then ended.

PENDING ──► RUNNING ──► SUCCEEDED | PARTIALLY_SUCCEEDED | FAILED          cancel: CANCELLING ──► CANCELLED
   ▲           └ the service was killed: begun again, its results written over
   └───────────┘
"""

import asyncio
import contextlib
import fnmatch
import logging
from collections.abc import Iterator, Mapping

from local.containers import Containers
from local.documents import Documents, public
from local.errors import CloudError, Status
from local.fields import Document
from local.vertex import batch_jobs
from local.vertex.batch_jobs import Line, Plan, Tally
from local.vertex.filters import parsed
from local.vertex.objects import Objects, address
from local.vertex.registry import Registry
from local.vertex.serving import Replica, batch_recipe_of
from local.vertex.switches import Switches

_ANSWER_SECONDS = 60.0
_TRIES = 3  # of a request that the container fails
_WILDCARDS = "*?["
_KIND = "BatchPredictionJob"
_log = logging.getLogger(__name__)


class BatchJobs:
    """The batch prediction jobs of every project."""

    def __init__(
        self, documents: Documents, registry: Registry, containers: Containers, storage: str, switches: Switches
    ) -> None:
        self._documents = documents
        self._registry = registry
        self._containers = containers
        self._storage = storage
        self._switches = switches
        self._runs: dict[str, asyncio.Task[None]] = {}

    def create(self, parent: str, wanted: Document) -> Document:
        name = f"{parent}/batchPredictionJobs/{self._documents.number()}"
        job = batch_jobs.pending(wanted, name, self._registry.version(batch_jobs.plan_of(wanted).model))
        self._save(job)
        self._begin(name)
        return public(job)

    def get(self, name: str) -> Document:
        return public(self._documents.get(_KIND, name))

    def every(self, parent: str, query: Mapping[str, str]) -> list[Document]:
        """The jobs that meet the filter, newest first."""
        meets = parsed(query.get("filter", ""), batch_jobs.FILTER_FIELDS)
        return [public(job) for job in reversed(self._documents.every(_KIND, parent)) if meets(job)]

    def cancel(self, name: str) -> None:
        """Asks a job to end; one that has ended stays as it is, and what it has written stays."""
        job = self._documents.get(_KIND, name)
        if job["state"] in batch_jobs.LIVE:
            self._save(batch_jobs.cancelling(job))
            self._runs[name].cancel()

    def resume(self) -> None:
        """Begins again every job that a kill or a stop of the service interrupted."""
        for job in self._documents.live(_KIND):
            if job["state"] == "JOB_STATE_CANCELLING":
                self._save(batch_jobs.cancelled(job))
            else:
                self._begin(job["name"])

    async def stop(self) -> None:
        """Leaves the states as they are, for the next start; the processes are the caller's to end."""
        for run in list(self._runs.values()):
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run

    def _begin(self, name: str) -> None:
        self._runs[name] = asyncio.get_running_loop().create_task(self._run(name))
        self._runs[name].add_done_callback(lambda _: self._over(name))

    def _over(self, name: str) -> None:
        del self._runs[name]
        job = self._documents.get(_KIND, name)
        if job["state"] == "JOB_STATE_CANCELLING":
            self._save(batch_jobs.cancelled(job))

    async def _run(self, name: str) -> None:
        try:
            ended = await self._predicted(self._documents.get(_KIND, name))
        except CloudError as error:
            ended = batch_jobs.failed(self._documents.get(_KIND, name), error.message)
        except Exception:
            # Whatever it was, the job ends: nobody may wait for it for ever.
            _log.exception("a batch prediction job failed")
            ended = batch_jobs.failed(self._documents.get(_KIND, name), "Internal error encountered.")
        if self._documents.get(_KIND, name)["state"] != "JOB_STATE_CANCELLING":
            self._save(ended)

    async def _predicted(self, job: Document) -> Document:
        await asyncio.sleep(self._switches.durations.job_pending_seconds)
        plan, objects = batch_jobs.plan_of(job), Objects(self._storage)
        job = batch_jobs.running(job)
        self._save(job)
        version = self._registry.version(f"{plan.model.partition('@')[0]}@{job['modelVersionId']}")
        replica = Replica(batch_recipe_of(job["name"], version), self._containers)
        try:
            inputs = [each for uri in plan.inputs for each in await _named(objects, uri)]
            await replica.ready(self._switches.ready_seconds)
            folder, tally = batch_jobs.folder_of(job, plan), Tally()
            bucket, place = address(folder)
            for shard, (source, file) in enumerate(inputs):
                results = await _answered(await objects.content(source, file), plan, replica, tally)
                name = f"{place}/prediction.results-{shard:05d}-of-{len(inputs):05d}"
                await objects.write(bucket, name, results)
            await objects.write(bucket, f"{place}/prediction.errors_stats-00000-of-00001", tally.errors())
        finally:
            objects.close()
            await replica.end()
        return batch_jobs.finished(job, folder, tally)

    def _save(self, job: Document) -> None:
        parent = job["name"].rsplit("/", 2)[0]
        self._documents.put(_KIND, job["name"], job, parent, live=job["state"] in batch_jobs.LIVE)


async def _named(objects: Objects, uri: str) -> list[tuple[str, str]]:
    """The objects that an address means, which may have wildcards in its name."""
    bucket, name = address(uri)
    if not any(mark in name for mark in _WILDCARDS):
        return [(bucket, name)]
    prefix = name[: min(name.find(mark) for mark in _WILDCARDS if mark in name)]
    found = [each for each in await objects.listed(bucket, prefix) if fnmatch.fnmatchcase(each, name)]
    if not found:
        raise CloudError(Status.INVALID_ARGUMENT, f"There are no files that match {uri}.")
    return [(bucket, each) for each in found]


async def _answered(content: bytes, plan: Plan, replica: Replica, tally: Tally) -> bytes:
    """The results of one file of instances."""
    results = bytearray()
    for lines in _batches(batch_jobs.lines_of(content, plan, tally), plan.batch_rows):
        results += await _asked(lines, plan, replica, tally)
    return bytes(results)


def _batches(lines: Iterator[Line], most: int) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= most:
            yield batch
            batch = []
    if batch:
        yield batch


async def _asked(lines: list[Line], plan: Plan, replica: Replica, tally: Tally) -> bytes:
    """The results of one request; after three failures of the container its instances are counted as failed."""
    message = ""
    for _ in range(_TRIES):
        try:
            body = batch_jobs.request_of(lines, plan)
            answer = await replica.predict(body, "application/json", _ANSWER_SECONDS)
        except CloudError as error:
            message = error.message
            continue
        results = batch_jobs.results_of(lines, answer.body) if answer.status == 200 else None
        if results is not None:
            tally.successful += len(lines)
            return results
        said = answer.body[:1000].decode(errors="replace")
        message = f"Non-OK result {answer.status} ({said}) from server"
        if answer.status < 500:
            break
    tally.fail(f"Post request fails. Cannot get predictions. Error: {message}.", len(lines))
    return b""
