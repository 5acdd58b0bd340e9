"""Vertex AI in memory: operations end when the test says so, etags are honoured or ignored as the test chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from shared.door import Door
from shared.errors import Conflict, Refused
from shared.jobs import Job, JobOrder
from shared.serving import Address, Endpoint, Machine, Operation
from shared.vertex import BatchOrder, Version, VersionOrder

Fate = Literal["ends", "fails", "half", "hangs"]
"""What becomes of an operation: `half` has its effect and ends with an error, `hangs` never ends."""
Predict = Callable[[str, Sequence[Any], Mapping[str, Any]], list[Any]]


def _nobody_answers(_version: str, _instances: Sequence[Any], _parameters: Mapping[str, Any]) -> list[Any]:
    raise Refused("vertex.predict", "status 503: nothing serves in this test")


@dataclass
class MemoryVertex:
    """Implements shared.vertex.Vertex.

    `finish` ends the pending operations (or one, with an error); with `prompt` each ends as it starts.
    """

    now: Callable[[], datetime]
    door: Door
    predict_version: Predict = _nobody_answers
    prompt: bool = True
    honours_etags: bool = True
    orders: list[JobOrder] = field(default_factory=list)
    uploads: list[VersionOrder] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=dict)
    batches: list[BatchOrder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._batch_jobs: dict[str, Job] = {}
        self._versions: dict[str, list[Version]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._operations: dict[str, Operation] = {}
        self._pending: dict[str, Callable[[MemoryVertex], None]] = {}
        self._numbers = 0
        self._last_versions: dict[str, int] = {}
        self.fates: dict[str, Fate] = {}

    def finish(self, error: str = "") -> None:
        """Ends every operation that is under way, in order; with an error, none of them has its effect.

        `fates` names those to which something else happens.
        """
        for name, effect in list(self._pending.items()):
            fate = self.fates.get(name, "fails" if error else "ends")
            if fate == "hangs":
                continue
            if fate != "fails":
                effect(self)
            told = "" if fate == "ends" else error or "internal error"
            self._operations[name] = Operation(name, done=True, error=told)
            del self._pending[name]

    def end_job(self, name: str, state: str, error: str = "") -> None:
        self._jobs[name] = replace(self._jobs[name], state=state, error=error)

    def end_batch_job(self, name: str, state: str, error: str = "", output: str = "") -> None:
        self._batch_jobs[name] = replace(self._batch_jobs[name], state=state, error=error, output=output)

    def jobs(self, labels: Mapping[str, str]) -> list[Job]:
        return self.door(
            "vertex.list_jobs", lambda: [job for job in self._jobs.values() if labels.items() <= job.labels.items()]
        )

    def live_jobs(self, labels: Mapping[str, str]) -> list[Job]:
        return [job for job in self.jobs(labels) if not job.ended]

    def create_job(self, order: JobOrder) -> Job:
        def created() -> Job:
            job = Job(f"projects/p/locations/l/customJobs/{self._number()}", "RUNNING", self.now(), order.labels)
            self._jobs[job.name] = job
            self.orders.append(order)
            return job

        return self.door("vertex.create_job", created)

    def job(self, name: str) -> Job:
        return self.door("vertex.get_job", lambda: self._jobs[name])

    def job_log(self, name: str, lines: int) -> tuple[str, ...]:
        return self.door("logging.list", lambda: tuple(self.logs.get(name, ())[-lines:]))

    def cancel_job(self, name: str) -> None:
        self.door("vertex.cancel_job", lambda: self.end_job(name, "CANCELLED"))

    def batch_jobs(self, labels: Mapping[str, str]) -> list[Job]:
        found = self._batch_jobs.values
        return self.door(
            "vertex.list_batch_jobs", lambda: [job for job in found() if labels.items() <= job.labels.items()]
        )

    def create_batch_job(self, order: BatchOrder) -> Job:
        def created() -> Job:
            name = f"projects/p/locations/l/batchPredictionJobs/{self._number()}"
            self._batch_jobs[name] = Job(name, "RUNNING", self.now(), order.labels)
            self.batches.append(order)
            return self._batch_jobs[name]

        return self.door("vertex.create_batch_job", created)

    def batch_job(self, name: str) -> Job:
        return self.door("vertex.get_batch_job", lambda: self._batch_jobs[name])

    def cancel_batch_job(self, name: str) -> None:
        self.door("vertex.cancel_batch_job", lambda: self.end_batch_job(name, "CANCELLED"))

    def versions(self, model: str) -> list[Version]:
        def seen(version: Version) -> Version:
            having = {name for name, each in self._endpoints.items() if version.name in each.deployed.values()}
            return replace(version, endpoints=frozenset(having))

        return self.door("vertex.list_versions", lambda: [seen(each) for each in self._versions.get(model, [])])

    def upload(self, order: VersionOrder) -> Operation:
        def effect(vertex: MemoryVertex) -> None:
            versions = vertex._versions.setdefault(order.model, [])
            name = f"projects/p/locations/l/models/{order.model}@{vertex._next_version(order.model)}"
            versions.append(Version(name, dict(order.labels), default=not versions))
            vertex.uploads.append(order)

        return self.door("vertex.upload", lambda: self._start(effect))

    def recipe(self, version: str) -> VersionOrder:
        return self.door("vertex.get_version", lambda: self.uploads[int(version.rsplit("@", 1)[-1]) - 1])

    def make_default(self, version: str) -> None:
        def effect() -> None:
            known = self._versions[_model_of(version)]
            if all(each.name != version for each in known):
                raise Refused("vertex.make_default", f"status 404: no version {version}")
            self._versions[_model_of(version)] = [replace(each, default=each.name == version) for each in known]

        self.door("vertex.make_default", effect)

    def delete_version(self, version: str) -> None:
        def effect() -> None:
            found = next((each for each in self._versions.get(_model_of(version), []) if each.name == version), None)
            if found is None:
                raise Refused("vertex.delete_version", f"status 404: no version {version}")
            if found.default or any(version in each.deployed.values() for each in self._endpoints.values()):
                raise Refused("vertex.delete_version", f"status 400: {version} is the default one, or deployed")
            self._versions[_model_of(version)] = [each for each in self._versions[_model_of(version)] if each != found]

        self.door("vertex.delete_version", effect)

    def endpoint(self, endpoint: str) -> Endpoint | None:
        return self.door("vertex.get_endpoint", lambda: self._endpoints.get(endpoint))

    def create_endpoint(self, endpoint: str) -> Operation:
        def created() -> Operation:
            if endpoint in self._endpoints:
                raise Conflict("vertex.create_endpoint")
            name = f"projects/p/locations/l/endpoints/{endpoint}"
            return self._start(lambda vertex: vertex._add(Endpoint(name, "")))

        return self.door("vertex.create_endpoint", created)

    def deploy(
        self,
        endpoint: str,
        deployed_model: str,
        version: str,
        machine: Machine,  # noqa: ARG002
        split: Mapping[str, int],
    ) -> Operation:
        def started() -> Operation:
            if deployed_model in self._found(endpoint).deployed:
                raise Conflict("vertex.deploy")
            return self._start(effect)

        def effect(vertex: MemoryVertex) -> None:
            now = vertex._found(endpoint)
            wanted = {deployed_model if key == "0" else key: share for key, share in split.items()}
            vertex._change(replace(now, deployed={**now.deployed, deployed_model: version}, split=wanted or now.split))

        return self.door("vertex.deploy", started)

    def undeploy(self, endpoint: str, deployed_model: str) -> Operation:
        def started() -> Operation:
            now = self._found(endpoint)
            if deployed_model not in now.deployed:
                raise Refused("vertex.undeploy", f"status 404: {deployed_model} is not deployed")
            if now.split.get(deployed_model, 0) and len(now.deployed) > 1:
                raise Refused("vertex.undeploy", f"status 400: {deployed_model} still has traffic")
            return self._start(effect)

        def effect(vertex: MemoryVertex) -> None:
            now = vertex._found(endpoint)
            deployed = {key: version for key, version in now.deployed.items() if key != deployed_model}
            shares = {key: share for key, share in now.split.items() if key != deployed_model}
            vertex._change(replace(now, deployed=deployed, split=shares if deployed else {}))

        return self.door("vertex.undeploy", started)

    def set_split(self, endpoint: Endpoint, split: Mapping[str, int]) -> Endpoint:
        def changed() -> Endpoint:
            now = self._found(endpoint.name.rsplit("/", 1)[-1])
            if self.honours_etags and endpoint.etag != now.etag:
                raise Conflict("vertex.set_split")
            if split and sum(split.values()) != 100:
                raise Refused("vertex.set_split", "status 400: the split does not add up to 100")
            if not set(split) <= set(now.deployed):
                raise Refused("vertex.set_split", "status 400: the split names what is not deployed")
            return self._change(replace(now, split=dict(split)))

        return self.door("vertex.set_split", changed)

    def predict(self, endpoint: str, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        def answered() -> list[Any]:
            now = self._found(endpoint)
            serving = next((key for key, share in now.split.items() if share), None)
            if serving is None:
                raise Refused("vertex.predict", "status 400: no traffic")
            return self.predict_version(now.deployed[serving], instances, parameters)

        return self.door("vertex.predict", answered)

    def address(self, endpoint: str) -> Address:
        return Address(f"http://127.0.0.1:1/{endpoint}:predict")

    def operation(self, name: str) -> Operation:
        return self.door("vertex.get_operation", lambda: self._operations[name])

    def _found(self, endpoint: str) -> Endpoint:
        if endpoint not in self._endpoints:
            raise Refused("vertex.get_endpoint", f"status 404: no endpoint {endpoint}")
        return self._endpoints[endpoint]

    def _add(self, endpoint: Endpoint) -> None:
        self._change(endpoint)

    def _change(self, endpoint: Endpoint) -> Endpoint:
        # Whatever a test is about: at no instant may a split not add up, or name what is not deployed.
        assert not endpoint.split or sum(endpoint.split.values()) == 100, endpoint
        assert set(endpoint.split) <= set(endpoint.deployed), endpoint
        changed = replace(endpoint, etag=f"etag-{self._number()}")
        self._endpoints[endpoint.name.rsplit("/", 1)[-1]] = changed
        return changed

    def _start(self, effect: "Callable[[MemoryVertex], None]") -> Operation:
        name = f"projects/p/locations/l/operations/{self._number()}"
        self._operations[name] = Operation(name, done=False)
        self._pending[name] = effect
        if self.prompt:
            self.finish()
        return self._operations[name]

    def _next_version(self, model: str) -> int:
        """Numbers of versions are never used again, also of those that were deleted."""
        self._last_versions[model] = self._last_versions.get(model, 0) + 1
        return self._last_versions[model]

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _model_of(version: str) -> str:
    return version.split("/models/")[1].split("@")[0]
