"""The REST wire of Cloud Scheduler; everything that is not here is answered as unimplemented."""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from local import fields
from local.errors import CloudError, Status
from local.fields import Document
from local.rest import Call, Calls, Query, body_of, json_response, page
from local.scheduler import jobs
from local.scheduler.beat import Beat
from local.scheduler.minutes import Minutes
from local.scheduler.store import Store

_PARENT = "(projects/[^/:]+/locations/[^/:]+)"
_JOB = f"({_PARENT[1:-1]}/jobs/[^/:]+)"


class App:
    """Answers every request of the REST API."""

    def __init__(self, store: Store, minutes: Minutes, beat: Beat, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._minutes = minutes
        self._beat = beat
        self._now = now
        every = f"{_PARENT}/jobs"
        self._calls = Calls(
            "Cloud Scheduler",
            [
                Call("jobs.create", "POST", every, lambda m, body, _: self._create(m[1], body)),
                Call("jobs.list", "GET", every, lambda m, _, query: self._list(m[1], query)),
                Call("jobs.get", "GET", _JOB, lambda m, _, __: self._shown(store.get(m[1]))),
                Call("jobs.patch", "PATCH", _JOB, lambda m, body, query: self._patch(m[1], body, query)),
                Call("jobs.delete", "DELETE", _JOB, lambda m, _, __: self._delete(m[1])),
                Call("jobs.pause", "POST", f"{_JOB}:pause", lambda m, _, __: self._set_state(m[1], "PAUSED")),
                Call("jobs.resume", "POST", f"{_JOB}:resume", lambda m, _, __: self._set_state(m[1], "ENABLED")),
                Call("jobs.run", "POST", f"{_JOB}:run", lambda m, _, __: self._run(m[1])),
            ],
        )
        self.name_of = self._calls.name_of

    async def answer(self, request: Request) -> Response:
        return json_response(self._calls.answer(request, await body_of(request)))

    def _create(self, parent: str, wanted: Document) -> Document:
        name = jobs.named(parent, wanted, self._store.number())
        made = jobs.created(wanted, name, self._time())
        if self._store.find(name) is not None:
            raise CloudError(Status.ALREADY_EXISTS, f"Job {name} already exists.")
        return self._shown(self._store.put(made))

    def _list(self, parent: str, query: Query) -> Document:
        return page("jobs", [self._shown(job) for job in self._store.below(parent)], query)

    def _patch(self, name: str, wanted: Document, query: Query) -> Document:
        changed = jobs.changed(self._store.get(name), wanted, fields.mask(query), self._time())
        return self._shown(self._store.put(changed))

    def _delete(self, name: str) -> Document:
        self._store.get(name)
        self._store.delete(name)
        return {}

    def _set_state(self, name: str, state: str) -> Document:
        return self._shown(self._store.put({**self._store.get(name), "state": state, "userUpdateTime": self._time()}))

    def _run(self, name: str) -> Document:
        job = self._store.get(name)
        self._beat.run(job)
        return self._shown(job)

    def _shown(self, job: Document) -> Document:
        return jobs.shown(job, self._minutes, self._now())

    def _time(self) -> str:
        return jobs.timestamp(self._now())
