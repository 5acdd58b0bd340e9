"""Custom jobs: a process each, with the states, the timeout and the errors that Vertex AI has.

PENDING ─► RUNNING ─► SUCCEEDED | FAILED            cancel: CANCELLING ─► CANCELLED
              ▲  └ the service was killed: run again, as Vertex AI does after an internal error
"""

import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.errors import CloudError, Status
from local.processes import Child
from local.vertex.containers import Containers, variables_of
from local.vertex.documents import Document, Documents

_DEFAULT_TIMEOUT_SECONDS = 7 * 86_400.0
_LOOK_SECONDS = 0.05
_LIVE = ("JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING")
_CONDITION = re.compile(r'(?P<left>labels\.[\w-]+|state)\s*(?P<sign>[=:])\s*"?(?P<right>[\w*-]+)"?')
_CODE_CANCELLED, _CODE_DEADLINE, _CODE_INTERNAL = 1, 4, 13


class Jobs:
    """The custom jobs of every project."""

    def __init__(self, documents: Documents, containers: Containers) -> None:
        self._documents = documents
        self._containers = containers
        self._children: dict[str, Child] = {}
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

    def resume(self) -> None:
        """Runs every job again whose process died with the service."""
        for job in self._documents.every("job"):
            if job["state"] in _LIVE:
                self._begin(job["name"])

    def stop(self) -> None:
        """Ends the processes and leaves the states as they are: the next start resumes them."""
        self._stopped.set()
        for child in list(self._children.values()):
            self._containers.processes.stop(child, 0.5)
        for thread in self._threads:
            thread.join()

    def create(self, parent: str, wanted: Document) -> Document:
        pools = wanted.get("jobSpec", {}).get("workerPoolSpecs") or []
        if not wanted.get("displayName") or len(pools) != 1 or "containerSpec" not in pools[0]:
            raise CloudError(
                Status.INVALID_ARGUMENT, "A custom job needs a display name and one worker pool with a container."
            )
        self._containers.check(pools[0]["containerSpec"].get("imageUri", ""))
        name = f"{parent}/customJobs/{self._documents.number()}"
        job = {**wanted, "name": name, "state": "JOB_STATE_PENDING", "createTime": now(), "updateTime": now()}
        self._documents.put("job", name, job)
        self._begin(name)
        return job

    def get(self, name: str) -> Document:
        return self._documents.get("job", name)

    def every(self, parent: str, condition: str) -> list[Document]:
        """The jobs that meet a filter, newest first."""
        tests = _conditions(condition)
        jobs = [job for job in self._documents.every("job") if job["name"].startswith(f"{parent}/")]
        return [job for job in reversed(jobs) if all(_meets(job, *test) for test in tests)]

    def cancel(self, name: str) -> None:
        def cancelling(job: Document) -> None:
            if job["state"] in _LIVE:
                job["state"] = "JOB_STATE_CANCELLING"

        self._documents.change("job", name, cancelling)

    def log(self, number: str) -> Path:
        return self._containers.log(f"job-{number}")

    def _begin(self, name: str) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=self._run, args=(name,), name=name, daemon=True))
        self._threads[-1].start()

    def _run(self, name: str) -> None:
        job = self.get(name)
        pool = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        arguments = [*pool.get("command", ()), *pool.get("args", ())]
        number = name.rsplit("/", 1)[-1]
        child = self._containers.start(pool["imageUri"], arguments, _environment(job, pool, number), f"job-{number}")
        self._children[name] = child
        self._documents.change("job", name, _running)
        state, error = self._watch(name, child, _timeout_seconds(job))
        if not self._stopped.is_set():
            self._documents.change("job", name, lambda job: _end(job, state, error))
        del self._children[name]
        self._containers.processes.forget(child)

    def _watch(self, name: str, child: Child, timeout_seconds: float) -> tuple[str, dict[str, Any] | None]:
        end = time.monotonic() + timeout_seconds
        while child.poll() is None and not self._stopped.wait(_LOOK_SECONDS):
            if self.get(name)["state"] == "JOB_STATE_CANCELLING":
                self._containers.processes.stop(child)
                return "JOB_STATE_CANCELLED", {"code": _CODE_CANCELLED, "message": "CANCELED"}
            if time.monotonic() > end:
                self._containers.processes.stop(child)
                return "JOB_STATE_FAILED", {"code": _CODE_DEADLINE, "message": "The job exceeded its timeout."}
        if child.poll() == 0:
            return "JOB_STATE_SUCCEEDED", None
        if child.returncode is None:  # the service stops; the next start runs the job again
            return "JOB_STATE_PENDING", None
        return "JOB_STATE_FAILED", _failure(child.returncode)


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _environment(job: Document, pool: Document, number: str) -> dict[str, str]:
    output = job["jobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix", "").rstrip("/")
    folders = {
        "AIP_MODEL_DIR": f"{output}/model/",
        "AIP_CHECKPOINT_DIR": f"{output}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{output}/logs/",
    }
    return {"CLOUD_ML_JOB_ID": number, **(folders if output else {}), **variables_of(pool)}


def _timeout_seconds(job: Document) -> float:
    text = job["jobSpec"].get("scheduling", {}).get("timeout")
    return float(str(text).rstrip("s")) if text else _DEFAULT_TIMEOUT_SECONDS


def _running(job: Document) -> None:
    if job["state"] == "JOB_STATE_PENDING":
        job |= {"state": "JOB_STATE_RUNNING", "startTime": now(), "updateTime": now()}


def _end(job: Document, state: str, error: dict[str, Any] | None) -> None:
    job |= {"state": state, "endTime": now(), "updateTime": now()}
    if error:
        job["error"] = error


def _failure(code: int) -> dict[str, Any]:
    how = f"exited with a non-zero status of {code}" if code > 0 else f"was ended by signal {-code}"
    return {"code": _CODE_INTERNAL, "message": f"The replica workerpool0-0 {how}."}


def _conditions(text: str) -> list[tuple[str, str, str]]:
    """The parts of a filter that are joined by AND; raises INVALID_ARGUMENT for anything beyond that."""
    tests = []
    for part in re.split(r"\s+AND\s+", text.strip()) if text.strip() else ():
        match = _CONDITION.fullmatch(part.strip())
        if match is None:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid filter: {part}")
        tests.append((match["left"], match["sign"], match["right"]))
    return tests


def _meets(document: Document, left: str, sign: str, right: str) -> bool:
    if left == "state":
        return bool(document["state"] == right)
    value = document.get("labels", {}).get(left.removeprefix("labels."))
    return value is not None if sign == ":" else value == right
