"""Long-running operations: begun, answered at once, and done later; none is left undone for ever.

begun ──► (its least duration) ──► its work runs ──► done: response | error
              ▲                         └ service killed
              └─────────────── the next start runs the work again, which must then come to the same

On request an operation fails halfway, without its effect, or reports a failure although it had its effect.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.documents import Documents, public, timestamp
from local.errors import CloudError, Status
from local.fields import Document
from local.vertex.switches import Durations

Arguments = Mapping[str, Any]
_TYPES = "type.googleapis.com/google.cloud.aiplatform.v1."
EMPTY = "type.googleapis.com/google.protobuf.Empty"
# google/rpc/code.proto, those that an operation here can end with
_CODES = {
    Status.CANCELLED: 1,
    Status.INVALID_ARGUMENT: 3,
    Status.DEADLINE_EXCEEDED: 4,
    Status.NOT_FOUND: 5,
    Status.ALREADY_EXISTS: 6,
    Status.RESOURCE_EXHAUSTED: 8,
    Status.FAILED_PRECONDITION: 9,
    Status.ABORTED: 10,
    Status.INTERNAL: 13,
    Status.UNAVAILABLE: 14,
}
_CODE_INTERNAL = 13
FAILURE = re.compile(
    f"fail-operation-(?P<status>{'|'.join(status.value for status in _CODES)})(?P<after>-after-effect)?"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What an operation does, and the names of the messages that it answers with; safe to run again after a kill."""

    run: Callable[[Arguments], Awaitable[Document]]
    response: str
    metadata: str


class Operations:
    """The operations of every project, by the works that other parts name."""

    def __init__(self, documents: Documents, durations: Durations) -> None:
        self._documents = documents
        self._durations = durations
        self._failure: str | None = None
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, kind: str, work: Work) -> None:
        self._works[kind] = work

    @contextmanager
    def failing(self, instruction: str | None) -> Iterator[None]:
        """What is begun inside fails as the instruction (see FAILURE) says; nothing may be awaited inside."""
        self._failure = instruction
        try:
            yield
        finally:
            self._failure = None

    def begin(self, owner: str, kind: str, arguments: Arguments) -> Document:
        """Begins a registered work on a resource; answers the operation, which is not done yet."""
        own = {"_kind": kind, "_arguments": dict(arguments), "_failure": self._failure}
        operation = self._written(owner, self._works[kind].metadata, own)
        self._run_in_background(operation)
        return public(operation)

    def done(self, owner: str, metadata: str, response: Document) -> Document:
        """Answers an operation that was over at once; the response carries its own `@type`."""
        return public(self._written(owner, metadata, {"done": True, "response": response}))

    def get(self, number: str) -> Document:
        return public(self._documents.get("operation", number))

    def below(self, owner: str) -> list[Document]:
        return [public(operation) for operation in self._documents.every("operation", owner)]

    def under_way(self, owner: str) -> bool:
        """Whether an operation on this resource has not ended."""
        return self._documents.is_live_below("operation", owner)

    def arguments_under_way(self, kind: str) -> list[Arguments]:
        """What the unfinished operations of a kind were begun with."""
        return [each["_arguments"] for each in self._documents.live("operation") if each["_kind"] == kind]

    def resume(self) -> None:
        """Carries on with what a kill or a stop interrupted."""
        for operation in self._documents.live("operation"):
            self._run_in_background(operation)

    async def stop(self) -> None:
        """Leaves what is under way to the next start."""
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _written(self, owner: str, metadata: str, rest: Document) -> Document:
        number, now = str(self._documents.number()), timestamp()
        told = {"@type": _TYPES + metadata, "genericMetadata": {"createTime": now, "updateTime": now}}
        operation = {"name": f"{owner}/operations/{number}", "metadata": told, "done": False, "_owner": owner, **rest}
        self._save(operation)
        return operation

    def _save(self, operation: Document) -> None:
        number = operation["name"].rsplit("/", 1)[-1]
        self._documents.put("operation", number, operation, operation["_owner"], live=not operation["done"])

    def _run_in_background(self, operation: Document) -> None:
        task = asyncio.get_running_loop().create_task(self._run(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, operation: Document) -> None:
        outcome = await self._outcome(operation)
        operation["metadata"]["genericMetadata"]["updateTime"] = timestamp()
        self._save({**operation, **outcome, "done": True})

    async def _outcome(self, operation: Document) -> Document:
        try:
            return {"response": await self._response(operation)}
        except CloudError as error:
            return {"error": {"code": _CODES.get(error.status, _CODE_INTERNAL), "message": error.message}}
        except Exception:
            # Whatever it was, the operation ends: nobody may wait for it for ever.
            _log.exception("an operation failed")
            return {"error": {"code": _CODE_INTERNAL, "message": "Internal error encountered."}}

    async def _response(self, operation: Document) -> Document:
        work, failure = self._works[operation["_kind"]], FAILURE.fullmatch(operation["_failure"] or "")
        seconds = self._durations.of(operation["_kind"])
        if failure is not None and not failure["after"]:
            await asyncio.sleep(_left(operation, seconds / 2))
            raise _asked_for(failure)
        await asyncio.sleep(_left(operation, seconds))
        answered = await work.run(operation["_arguments"])
        if failure is not None:
            raise _asked_for(failure)
        return {"@type": message_type(work.response), **answered}


def _asked_for(failure: re.Match[str]) -> CloudError:
    return CloudError(Status(failure["status"]), "This operation was asked to fail.")


def _left(operation: Document, seconds: float) -> float:
    """How much of a duration is left since the operation was begun, perhaps by a service that was killed since."""
    begun = datetime.fromisoformat(operation["metadata"]["genericMetadata"]["createTime"])
    return max(0.0, seconds - (datetime.now(UTC) - begun).total_seconds()) if seconds else 0.0


def message_type(name: str) -> str:
    """The `@type` of a message of Vertex AI's API."""
    return _TYPES + name
