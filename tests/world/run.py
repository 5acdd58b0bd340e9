"""Cloud Run in memory, below Serin's own door: a client whose services and jobs are Google's messages.

What is ordered is carried out at once, or when the test says so; etags are honoured, as Google's are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from shared.door import Door
from shared.errors import Conflict, Refused
from shared.jobs import Job
from shared.run_jobs import CloudRunJobs
from shared.serving import Address, Endpoint
from tests.world.vertex import Fate

if TYPE_CHECKING:
    from shared.environment import Environment

Predict = Callable[[str, list[Any], Mapping[str, Any]], list[Any]]
_NOBODY = "nobody answers in this test"


def _refuse(_version: str, _instances: list[Any], _parameters: Mapping[str, Any]) -> list[Any]:
    raise Refused("run.predict", f"status 503: {_NOBODY}")


@dataclass(frozen=True)
class _Order:
    """What was ordered of a service and is not carried out yet; `starts` a revision, which takes longer."""

    service: str
    etag: str
    traffic: tuple[Any, ...]
    starts: bool


@dataclass
class MemoryServices:
    """What Serin asks of google.cloud.run_v2.ServicesClient; no service is ever changed, only replaced.

    `finish` carries out what was ordered; with `prompt` each order is as soon as it is given. `fates` names operations
    to which something else happens.
    """

    prompt: bool = True
    honours_etags: bool = True
    predict_version: Predict = _refuse
    services: dict[str, Any] = field(default_factory=dict)
    writes: list[dict[str, Any]] = field(default_factory=list)
    fates: dict[str, Fate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pending: dict[str, _Order] = {}
        self._operations: dict[str, Any] = {}
        self._numbers = 0

    def get_service(self, *, name: str) -> Any:
        return _copy(self._found(name))

    def create_service(self, *, request: Mapping[str, Any], **_: Any) -> Any:
        from google.cloud import run_v2

        name = f"{request['parent']}/services/{request['service_id']}"
        if name in self.services:
            raise Conflict("run.create_service")
        service = run_v2.Service({**request["service"], "name": name, "uri": f"https://{request['service_id']}.test"})
        return self._ordered(service, request["service"])

    def update_service(self, *, request: Mapping[str, Any], **_: Any) -> Any:
        wanted, now = request["service"], self._found(request["service"]["name"])
        if self.honours_etags and wanted["etag"] != now.etag:
            raise Conflict("run.update_service")
        changed = _copy(now)
        for path in request["update_mask"]["paths"]:
            setattr(changed, path, wanted[path])
        return self._ordered(changed, wanted)

    def delete_service(self, *, request: Mapping[str, Any]) -> Any:
        if request["etag"] != self._found(request["name"]).etag:
            raise Conflict("run.delete_service")
        del self.services[request["name"]]
        return self._operation(_Order(request["name"], "", (), starts=False))

    def get_operation(self, *, request: Mapping[str, Any]) -> Any:
        return self._operations[request["name"]]

    def finish(self, error: str = "", starting: bool = True) -> None:
        """Carries out what was ordered, without what starts a revision if told so.

        With an error the new revision never gets ready, and nothing changes.
        """
        for name, order in list(self._pending.items()):
            fate = self.fates.get(name, "fails" if error else "ends")
            if fate == "hangs" or (order.starts and not starting):
                continue
            if order.service in self.services:
                self._replace(self._carried_out(order, fate))
            self._operations[name] = _operation(name, "" if fate == "ends" else error or "internal error", done=True)
            del self._pending[name]

    def endpoints(self) -> dict[str, Endpoint]:
        """The services as they answer now, by name: tags are deployed models, whoever serves them."""
        found = {}
        for service in self.services.values():
            shares = {each.tag[1:]: each.percent for each in service.traffic_statuses if each.tag}
            versions = {each: service.annotations[f"serin.dev/version-{each}"] for each in shares}
            name = service.name.rsplit("/", 1)[-1]
            found[name] = Endpoint(service.name, "", {each: share for each, share in shares.items() if share}, versions)
        return found

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

    def _replace(self, service: Any) -> None:
        self.services[service.name] = service

    def _ordered(self, service: Any, wanted: Mapping[str, Any]) -> Any:
        # Whatever a test is about: no order may share out more or less than everything.
        assert sum(each.percent for each in service.traffic) == 100, service.traffic
        service.reconciling = True
        service.etag = f"etag-{self._number()}"
        self._replace(service)
        self.writes.append(dict(wanted))
        return self._operation(_Order(service.name, service.etag, tuple(service.traffic), "template" in wanted))

    def _carried_out(self, order: _Order, fate: Fate) -> Any:
        """The service once an order has ended; the last one ends all work on it."""
        from google.cloud import run_v2

        now = _copy(self.services[order.service])
        now.reconciling = now.reconciling and now.etag != order.etag
        if fate != "fails":
            now.traffic_statuses = [
                run_v2.TrafficTargetStatus(revision=each.revision, percent=each.percent, tag=each.tag)
                for each in order.traffic
            ]
        return now

    def _operation(self, order: _Order) -> Any:
        name = f"projects/p/locations/l/operations/run-{self._number()}"
        self._operations[name] = _operation(name)
        self._pending[name] = order
        if self.prompt:
            self.finish()
        return SimpleNamespace(operation=self._operations[name])

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _copy(service: Any) -> Any:
    return type(service)(service)


def _operation(name: str, error: str = "", done: bool = False) -> Any:
    from google.longrunning.operations_pb2 import Operation  # type: ignore[import-untyped]

    operation = Operation(name=name, done=done)
    if error:
        operation.error.message = error
    return operation


@dataclass
class MemoryJobs:
    """What Serin asks of run_v2.JobsClient and ExecutionsClient; the test says how an execution ends."""

    now: Callable[[], datetime]
    found: dict[str, Any] = field(default_factory=dict)
    created: list[Mapping[str, Any]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)

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

    def delete_job(self, *, name: str, **_: Any) -> None:
        if self.found.pop(name, None) is None:
            raise Refused("run.delete_job", "status 404")

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
        ended = _copy(self.found[job])
        ended.latest_created_execution.completion_status = status
        self.found[job] = ended
        self.reasons[job] = reason

    def jobs(self) -> list[Job]:
        """The jobs as Serin would know them, all of them."""
        states = {"EXECUTION_SUCCEEDED": "SUCCEEDED", "EXECUTION_FAILED": "FAILED", "EXECUTION_CANCELLED": "CANCELLED"}
        found = [(job, job.latest_created_execution.completion_status.name) for job in self.found.values()]
        return [Job(job.name, states.get(ended, "RUNNING"), job.create_time, dict(job.labels)) for job, ended in found]


class MemoryRunJobs(CloudRunJobs):
    """Serin's own door to Cloud Run's jobs, whose logs are another service's; soon it has too many of them."""

    kept_jobs = 1

    def __init__(self, environment: "Environment", door: Door, client: MemoryJobs) -> None:
        super().__init__(environment, door, client, client)
        self._door, self._client = door, client

    def job_log(self, name: str, lines: int) -> tuple[str, ...]:
        return self._door("logging.list", lambda: tuple(self._client.logs.get(name, ())[-lines:]))
