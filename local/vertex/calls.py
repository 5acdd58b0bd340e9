"""The operations of Vertex AI that are here: what each is called, how it is asked for, and who answers it."""

import re

from local.fields import Document
from local.rest import Call, Query, page
from local.vertex.batch_runs import BatchJobs
from local.vertex.endpoints import Endpoints
from local.vertex.job_runs import Jobs
from local.vertex.operations import Operations
from local.vertex.registry import Registry

PARENT = r"projects/[^/:]+/locations/[^/:]+"
_JOB = f"({PARENT}/customJobs/[^/:]+)"
_BATCH_JOB = f"({PARENT}/batchPredictionJobs/[^/:]+)"
_MODEL = f"({PARENT}/models/[^/:]+)"
_ENDPOINT = f"({PARENT}/endpoints/[^/:]+)"
_OWNER = f"({PARENT}(?:/(?:models|endpoints)/[^/:]+)?)"


def job_calls(jobs: Jobs) -> list[Call]:
    every = f"({PARENT})/customJobs"

    def cancelled(match: re.Match[str], _body: Document, _query: Query) -> Document:
        jobs.cancel(match[1])
        return {}

    return [
        Call("customJobs.create", "POST", every, lambda m, body, _: jobs.create(m[1], body)),
        Call("customJobs.list", "GET", every, lambda m, _, query: page("customJobs", jobs.every(m[1], query), query)),
        Call("customJobs.get", "GET", _JOB, lambda m, _, __: jobs.get(m[1])),
        Call("customJobs.cancel", "POST", f"{_JOB}:cancel", cancelled),
    ]


def batch_calls(jobs: BatchJobs) -> list[Call]:
    every, kind = f"({PARENT})/batchPredictionJobs", "batchPredictionJobs"

    def cancelled(match: re.Match[str], _body: Document, _query: Query) -> Document:
        jobs.cancel(match[1])
        return {}

    return [
        Call(f"{kind}.create", "POST", every, lambda m, body, _: jobs.create(m[1], body)),
        Call(f"{kind}.list", "GET", every, lambda m, _, query: page(kind, jobs.every(m[1], query), query)),
        Call(f"{kind}.get", "GET", _BATCH_JOB, lambda m, _, __: jobs.get(m[1])),
        Call(f"{kind}.cancel", "POST", f"{_BATCH_JOB}:cancel", cancelled),
    ]


def model_calls(models: Registry) -> list[Call]:
    every, merge, delete = f"({PARENT})/models", f"{_MODEL}:mergeVersionAliases", f"{_MODEL}:deleteVersion"
    versions = f"{_MODEL}:listVersions"
    return [
        Call("models.upload", "POST", f"{every}:upload", lambda m, body, _: models.upload(m[1], body)),
        Call("models.list", "GET", every, lambda m, _, query: page("models", models.models(m[1], query), query)),
        Call("models.get", "GET", _MODEL, lambda m, _, __: models.get(m[1])),
        Call("models.delete", "DELETE", _MODEL, lambda m, _, __: models.delete(m[1])),
        Call("models.listVersions", "GET", versions, lambda m, _, q: page("models", models.versions(m[1], q), q)),
        Call("models.mergeVersionAliases", "POST", merge, lambda m, body, _: models.merge_aliases(m[1], body)),
        Call("models.deleteVersion", "DELETE", delete, lambda m, _, __: models.delete_version(m[1])),
    ]


def endpoint_calls(endpoints: Endpoints) -> list[Call]:
    every, deploy, undeploy = f"({PARENT})/endpoints", f"{_ENDPOINT}:deployModel", f"{_ENDPOINT}:undeployModel"

    def created(match: re.Match[str], body: Document, query: Query) -> Document:
        return endpoints.create(match[1], query.get("endpointId", ""), body)

    return [
        Call("endpoints.create", "POST", every, created),
        Call("endpoints.list", "GET", every, lambda m, _, q: page("endpoints", endpoints.every(m[1], q), q)),
        Call("endpoints.get", "GET", _ENDPOINT, lambda m, _, __: endpoints.get(m[1])),
        Call("endpoints.patch", "PATCH", _ENDPOINT, lambda m, body, query: endpoints.patch(m[1], body, query)),
        Call("endpoints.delete", "DELETE", _ENDPOINT, lambda m, _, __: endpoints.delete(m[1])),
        Call("endpoints.deployModel", "POST", deploy, lambda m, body, _: endpoints.deploy(m[1], body)),
        Call("endpoints.undeployModel", "POST", undeploy, lambda m, body, _: endpoints.undeploy(m[1], body)),
    ]


def operation_calls(operations: Operations) -> list[Call]:
    every = f"{_OWNER}/operations"
    return [
        Call("operations.get", "GET", f"{every}/([0-9]+)", lambda m, _, __: operations.get(m[2])),
        Call("operations.list", "GET", every, lambda m, _, q: page("operations", operations.below(m[1]), q)),
    ]
