"""Operations of Cloud Run: begun by an order, ended by what carries it out; kept, so that they outlive a kill."""

import uuid

from local.documents import Documents, public
from local.errors import CloudError, Status
from local.fields import Document

_CODES = {Status.FAILED_PRECONDITION: 9, Status.INVALID_ARGUMENT: 3, Status.ABORTED: 10}
_INTERNAL = 13
_TYPE = "type.googleapis.com/google.cloud.run.v2."


class Operations:
    """Every operation, by name."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def begin(self, parent: str, owner: str) -> Document:
        operation: Document = {"name": f"{parent}/operations/{uuid.uuid4()}", "done": False, "_owner": owner}
        self._documents.put("operation", operation["name"], operation, owner, live=True)
        return public(operation)

    def get(self, name: str) -> Document:
        return public(self._documents.get("operation", name))

    def end(self, owner: str, kind: str, response: Document, error: CloudError | None = None) -> None:
        """Ends every operation of a resource that is under way: one order takes in those before it."""
        told: Document = {"response": {"@type": f"{_TYPE}{kind}", **response}}
        if error is not None:
            told = {"error": {"code": _CODES.get(error.status, _INTERNAL), "message": error.message}}
        for operation in self._documents.live("operation"):
            if operation["_owner"] == owner:
                self._documents.put("operation", operation["name"], {**operation, **told, "done": True}, owner)
