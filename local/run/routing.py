"""Requests to a service: the caller is checked, a revision is drawn by the traffic, its instance answers.

A service with no instance up is not down: the request waits for one to start, as it does on Cloud Run.
"""

import random
import re

from starlette.requests import Request
from starlette.responses import Response

from local.errors import CloudError, Status
from local.fields import Document
from local.rest import body_of
from local.run.metadata import Callers
from local.run.services import Services

_ADDRESS = re.compile(r"/services/(?:(?P<tag>[a-z0-9-]+?)---)?(?P<service>[a-z0-9-]+)(?P<path>/.*)?")
_MAX_BODY_BYTES = 32 * 1024 * 1024
_START_SECONDS, _ANSWER_SECONDS = 60.0, 60.0


class Router:
    """Carries requests to instances."""

    def __init__(self, services: Services, callers: Callers, address: str, chance: random.Random) -> None:
        self._services = services
        self._callers = callers
        self._address = address
        self._chance = chance

    async def answer(self, request: Request) -> Response | None:
        """The answer of whoever is asked; None if the address is no service's."""
        match = _ADDRESS.fullmatch(request.scope["path"])
        if match is None:
            return None
        service = self._services.found(match["service"])
        if service is None:
            raise CloudError(Status.NOT_FOUND, "The requested URL was not found on this server.")
        tag = f"{match['tag']}---" if match["tag"] else ""
        self._callers.check(request, f"{self._address}/services/{tag}{match['service']}")
        return await self._asked(self._drawn(service, match["tag"]), match["path"] or "/", request)

    def _drawn(self, service: Document, tag: str | None) -> str:
        """The name of the revision that answers this request."""
        found = [each for each in service["trafficStatuses"] if tag is None or each.get("tag") == tag]
        if not found:
            raise CloudError(Status.NOT_FOUND, "The requested URL was not found on this server.")
        weights = None if tag else [each.get("percent", 0) for each in found]
        (drawn,) = self._chance.choices(found, weights)
        return f"{service['name']}/revisions/{drawn['revision']}"

    async def _asked(self, revision: str, path: str, request: Request) -> Response:
        body = await body_of(request, _MAX_BODY_BYTES)
        instance = self._services.instance(revision)
        await instance.ready(_START_SECONDS)
        kind = request.headers.get("content-type", "application/json")
        answer = await instance.ask(request.method, path, _ANSWER_SECONDS, body, kind)
        told = {name: value for name, value in answer.headers.items() if name in ("content-type", "retry-after")}
        return Response(answer.body, answer.status, headers=told)
