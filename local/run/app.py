"""The REST wire of Cloud Run's Admin API v2, and of what is served by it: requests in, answers out."""

import re

from starlette.requests import Request
from starlette.responses import Response

from local.fields import Document
from local.rest import Call, Calls, Query, body_of, json_response, page
from local.run.jobs import Jobs
from local.run.metadata import Callers
from local.run.operations import Operations
from local.run.routing import Router
from local.run.services import Services

_PARENT = r"projects/[^/:]+/locations/[^/:]+"
_SERVICE = f"({_PARENT}/services/[^/:]+)"
_REVISION = f"({_PARENT}/services/[^/:]+/revisions/[^/:]+)"
_JOB = f"({_PARENT}/jobs/[^/:]+)"
_EXECUTION = f"({_PARENT}/jobs/[^/:]+/executions/[^/:]+)"


class App:
    """Answers every request."""

    def __init__(
        self, services: Services, jobs: Jobs, operations: Operations, router: Router, callers: Callers
    ) -> None:
        self._router = router
        self._callers = callers
        calls = [*_service_calls(services), *_job_calls(jobs), *_operation_calls(operations)]
        self._calls = Calls("Cloud Run", calls, versions="v2")

    async def answer(self, request: Request) -> Response:
        told = self._callers.told(request) or await self._router.answer(request)
        return told or json_response(self._calls.answer(request, await body_of(request)))

    def name_of(self, method: str, path: str) -> str | None:
        """What Google calls a request, for example `services.patch`; None for what is not here."""
        return self._calls.name_of(method, path)


def _service_calls(services: Services) -> list[Call]:
    every, revisions = f"({_PARENT})/services", f"{_SERVICE}/revisions"

    def listed(match: re.Match[str], _: Document, query: Query) -> Document:
        return page("services", services.every(match[1]), query)

    def revisions_listed(match: re.Match[str], _: Document, query: Query) -> Document:
        return page("revisions", services.revisions(match[1]), query)

    return [
        Call("services.create", "POST", every, lambda m, body, query: services.create(m[1], body, query)),
        Call("services.list", "GET", every, listed),
        Call("services.get", "GET", _SERVICE, lambda m, _, __: services.get(m[1])),
        Call("services.patch", "PATCH", _SERVICE, lambda m, body, query: services.patch(m[1], body, query)),
        Call("services.delete", "DELETE", _SERVICE, lambda m, _, query: services.delete(m[1], query)),
        Call("revisions.list", "GET", revisions, revisions_listed),
        Call("revisions.get", "GET", _REVISION, lambda m, _, __: services.revision(m[1])),
        Call("revisions.delete", "DELETE", _REVISION, lambda m, _, __: services.delete_revision(m[1])),
    ]


def _job_calls(jobs: Jobs) -> list[Call]:
    every, executions = f"({_PARENT})/jobs", f"{_JOB}/executions"

    def listed(match: re.Match[str], _: Document, query: Query) -> Document:
        return page("jobs", jobs.every(match[1]), query)

    def executions_listed(match: re.Match[str], _: Document, query: Query) -> Document:
        return page("executions", jobs.executions(match[1]), query)

    return [
        Call("jobs.create", "POST", every, lambda m, body, query: jobs.create(m[1], body, query)),
        Call("jobs.list", "GET", every, listed),
        Call("jobs.get", "GET", _JOB, lambda m, _, __: jobs.get(m[1])),
        Call("jobs.delete", "DELETE", _JOB, lambda m, _, __: jobs.delete(m[1])),
        Call("jobs.run", "POST", f"{_JOB}:run", lambda m, body, _: jobs.run(m[1], body)),
        Call("executions.list", "GET", executions, executions_listed),
        Call("executions.get", "GET", _EXECUTION, lambda m, _, __: jobs.execution(m[1])),
        Call("executions.cancel", "POST", f"{_EXECUTION}:cancel", lambda m, _, __: jobs.cancel(m[1])),
    ]


def _operation_calls(operations: Operations) -> list[Call]:
    one = f"({_PARENT}/operations/[^/:]+)"
    return [Call("operations.get", "GET", one, lambda m, _, __: operations.get(m[1]))]
