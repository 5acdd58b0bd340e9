"""Cloud Run in memory, below Serin's own door: a client whose services and jobs are Google's messages.

What is ordered is carried out at once, or when the test says so; etags are honoured, as Google's are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from shared.errors import Conflict, Refused
from shared.serving import Address

Predict = Callable[[str, list[Any], Mapping[str, Any]], list[Any]]
_NOBODY = "nobody answers in this test"


def _refuse(_version: str, _instances: list[Any], _parameters: Mapping[str, Any]) -> list[Any]:
    raise Refused("run.predict", f"status 503: {_NOBODY}")


@dataclass
class MemoryServices:
    """What Serin asks of google.cloud.run_v2.ServicesClient."""

    prompt: bool = True
    honours_etags: bool = True
    predict_version: Predict = _refuse
    services: dict[str, Any] = field(default_factory=dict)
    writes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pending: dict[str, Callable[[], None]] = {}
        self._operations: dict[str, Any] = {}
        self._numbers = 0

    def get_service(self, *, name: str) -> Any:
        return type(self._found(name))(self._found(name))

    def create_service(self, *, request: Mapping[str, Any], **_: Any) -> Any:
        from google.cloud import run_v2

        name = f"{request['parent']}/services/{request['service_id']}"
        if name in self.services:
            raise Conflict("run.create_service")
        service = run_v2.Service({**request["service"], "name": name, "uri": f"https://{request['service_id']}.test"})
        return self._ordered(service, request["service"])

    def update_service(self, *, request: Mapping[str, Any], **_: Any) -> Any:
        from google.cloud import run_v2

        wanted, now = request["service"], self._found(request["service"]["name"])
        if self.honours_etags and wanted["etag"] != now.etag:
            raise Conflict("run.update_service")
        changed = run_v2.Service(now)
        for path in request["update_mask"]["paths"]:
            setattr(changed, path, wanted[path])
        return self._ordered(changed, wanted)

    def delete_service(self, *, request: Mapping[str, Any]) -> Any:
        if request["etag"] != self._found(request["name"]).etag:
            raise Conflict("run.delete_service")
        del self.services[request["name"]]
        return self._operation(lambda: None)

    def get_operation(self, *, request: Mapping[str, Any]) -> Any:
        return self._operations[request["name"]]

    def finish(self, error: str = "") -> None:
        """Carries out what was ordered; with an error the new revision never gets ready, and nothing changes."""
        for name, effect in list(self._pending.items()):
            if not error:
                effect()
            for service in self.services.values():
                service.reconciling = False
            self._operations[name].done = True
            if error:
                self._operations[name].error.message = error
            del self._pending[name]

    def post(self, address: Address, asked: Mapping[str, Any]) -> Any:
        """A prediction of the revision with the most traffic."""
        name = address.url.removeprefix("https://").split(".")[0]
        service = next(each for each in self.services.values() if each.name.endswith(f"/{name}"))
        busiest = max(service.traffic_statuses, key=lambda each: each.percent)
        version = service.annotations[f"serin.dev/version-{busiest.tag[1:]}"]
        return {"predictions": self.predict_version(version, asked["instances"], asked["parameters"])}

    def _found(self, name: str) -> Any:
        if name not in self.services:
            raise Refused("run.get_service", f"status 404: no service {name}")
        return self.services[name]

    def _ordered(self, service: Any, wanted: Mapping[str, Any]) -> Any:
        # Whatever a test is about: no order may share out more or less than everything.
        assert sum(each.percent for each in service.traffic) == 100, service.traffic
        service.reconciling = True
        service.etag = f"etag-{self._number()}"
        self.services[service.name] = service
        self.writes.append(dict(wanted))

        def carried_out() -> None:
            from google.cloud import run_v2

            now = self.services.get(service.name)
            if now is not None:
                now.traffic_statuses = [
                    run_v2.TrafficTargetStatus(revision=each.revision, percent=each.percent, tag=each.tag)
                    for each in now.traffic
                ]

        return self._operation(carried_out)

    def _operation(self, effect: Callable[[], None]) -> Any:
        from google.longrunning.operations_pb2 import Operation  # type: ignore[import-untyped]

        name = f"projects/p/locations/l/operations/run-{self._number()}"
        self._operations[name] = Operation(name=name)
        self._pending[name] = effect
        if self.prompt:
            self.finish()
        return SimpleNamespace(operation=self._operations[name])

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


@dataclass
class MemoryJobs:
    """What Serin asks of run_v2.JobsClient and ExecutionsClient; the test says how an execution ends."""

    now: Callable[[], datetime]
    found: dict[str, Any] = field(default_factory=dict)
    created: list[Mapping[str, Any]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)

    def list_jobs(self, *, parent: str) -> list[Any]:
        return [job for job in self.found.values() if job.name.startswith(parent)]

    def create_job(self, *, request: Mapping[str, Any], **_: Any) -> None:
        from google.cloud import run_v2

        name = f"{request['parent']}/jobs/{request['job_id']}"
        if name in self.found:
            raise Conflict("run.create_job")
        job = run_v2.Job({**request["job"], "name": name, "create_time": self.now()})
        token = request["job"]["start_execution_token"]
        job.latest_created_execution = {  # type: ignore[assignment]
            "name": f"{name}/executions/{request['job_id']}-{token}", "completion_status": "EXECUTION_RUNNING",
        }  # fmt: skip
        self.found[name] = job
        self.created.append(request["job"])

    def get_job(self, *, name: str) -> Any:
        return self.found[name]

    def get_execution(self, *, name: str) -> Any:
        from google.cloud import run_v2

        job = name.split("/executions/")[0]
        return run_v2.Execution(name=name, conditions=[{"type_": "Completed", "message": self.reasons.get(job, "")}])

    def cancel_execution(self, *, name: str) -> None:
        self.end(name.split("/executions/")[0], "EXECUTION_CANCELLED")

    def end(self, job: str, status: str, reason: str = "") -> None:
        """Ends a job's execution."""
        self.found[job].latest_created_execution.completion_status = status
        self.reasons[job] = reason
