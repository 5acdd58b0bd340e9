"""Long-running operations: begun, answered at once, and done later; none is left undone for ever.

begun ──► its work runs ──► done: response | error
              ▲    └ service killed
              └──────────── the next start runs the work again, which must then come to the same
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import CloudError, Status
from local.vertex.documents import Document, Documents, public, timestamp

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
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """What an operation does, and the names of the messages that it answers with; safe to run again after a kill."""

    run: Callable[[Arguments], Awaitable[Document]]
    response: str
    metadata: str


class Operations:
    """The operations of every project, by the works that other parts name."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def register(self, kind: str, work: Work) -> None:
        self._works[kind] = work

    def begin(self, owner: str, kind: str, arguments: Arguments) -> Document:
        """Begins a registered work on a resource; answers the operation, which is not done yet."""
        operation = self._written(owner, self._works[kind].metadata, {"_kind": kind, "_arguments": dict(arguments)})
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
        outcome = await self._outcome(self._works[operation["_kind"]], operation["_arguments"])
        operation["metadata"]["genericMetadata"]["updateTime"] = timestamp()
        self._save({**operation, **outcome, "done": True})

    async def _outcome(self, work: Work, arguments: Arguments) -> Document:
        try:
            return {"response": {"@type": message_type(work.response), **await work.run(arguments)}}
        except CloudError as error:
            return {"error": {"code": _CODES.get(error.status, _CODE_INTERNAL), "message": error.message}}
        except Exception:
            # Whatever it was, the operation ends: nobody may wait for it for ever.
            _log.exception("an operation failed")
            return {"error": {"code": _CODE_INTERNAL, "message": "Internal error encountered."}}


def message_type(name: str) -> str:
    """The `@type` of a message of Vertex AI's API."""
    return _TYPES + name
