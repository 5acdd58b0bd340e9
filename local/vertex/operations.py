"""Long-running operations: started, answered at once, and carried on after a kill."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from local.errors import CloudError
from local.vertex.documents import Document, Documents

Work = Callable[[Mapping[str, Any]], dict[str, Any]]
_TYPES = "type.googleapis.com/google.cloud.aiplatform.v1."
_GRPC_CODES = {"INVALID_ARGUMENT": 3, "NOT_FOUND": 5, "ALREADY_EXISTS": 6, "FAILED_PRECONDITION": 9, "ABORTED": 10}
_CODE_INTERNAL = 13


class Operations:
    """Runs the works that other parts register by name; each may be run again and must then come to the same."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._works: dict[str, tuple[Work, str, str]] = {}
        self._threads: list[threading.Thread] = []

    def register(self, kind: str, work: Work, response: str, metadata: str) -> None:
        """Names a work and the types of its response and metadata."""
        self._works[kind] = (work, response, metadata)

    def start(self, parent: str, kind: str, arguments: Mapping[str, Any]) -> Document:
        """Begins a work; answers the operation that is not done yet."""
        name = f"{parent}/operations/{self._documents.number()}"
        metadata = {"@type": _TYPES + self._works[kind][2], "genericMetadata": {}}
        operation: Document = {"name": name, "metadata": metadata, "done": False}
        self._documents.put("operation", name, {**operation, "_kind": kind, "_arguments": dict(arguments)})
        self._begin(name)
        return operation

    def get(self, name: str) -> Document:
        found = self._documents.get("operation", name)
        return {key: value for key, value in found.items() if not key.startswith("_")}

    def under_way(self, kind: str, key: str, value: str) -> bool:
        """Whether an operation of a kind with this argument has not ended."""
        return any(
            not each["done"] and each["_kind"] == kind and each["_arguments"].get(key) == value
            for each in self._documents.every("operation")
        )

    def resume(self) -> None:
        """Carries on with what a kill interrupted."""
        for operation in self._documents.every("operation"):
            if not operation["done"]:
                self._begin(operation["name"])

    def stop(self) -> None:
        """Lets what is under way come to its end."""
        for thread in self._threads:
            thread.join(timeout=2)

    def _begin(self, name: str) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=self._run, args=(name,), name=name, daemon=True))
        self._threads[-1].start()

    def _run(self, name: str) -> None:
        operation = self._documents.get("operation", name)
        work, response, _ = self._works[operation["_kind"]]
        try:
            outcome: dict[str, Any] = {"response": {"@type": _TYPES + response, **work(operation["_arguments"])}}
        except CloudError as error:
            code = _GRPC_CODES.get(error.status.value, _CODE_INTERNAL)
            outcome = {"error": {"code": code, "message": error.message}}
        except Exception as error:  # whatever it was, an operation ends: nobody may wait for it for ever
            outcome = {"error": {"code": _CODE_INTERNAL, "message": f"Internal error: {type(error).__name__}"}}
        self._documents.change("operation", name, lambda kept: kept.update(outcome, done=True))
