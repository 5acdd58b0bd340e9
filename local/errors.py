"""The one error of the local cloud, so that every service refuses in Google's own words on either wire.

    CloudError(status, message)
      ├─ gRPC: error.grpc_code, error.message       (Pub/Sub)
      └─ REST: error.http_code, error.rest_body()   (Vertex AI, Storage, Pub/Sub for gcloud)

The statuses and their HTTP codes are those of google.rpc.Code (google/rpc/code.proto).
"""

import json
from enum import StrEnum
from http import HTTPStatus
from typing import Any

# nginx's "client closed request": google.rpc.Code gives it to CANCELLED, HTTPStatus does not know it.
_CLIENT_CLOSED_REQUEST = 499


class Status(StrEnum):
    """A canonical status of Google's APIs; its value is its name on the wire."""

    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"

    @property
    def http_code(self) -> int:
        return _HTTP_CODES[self]


_HTTP_CODES: dict[Status, int] = {
    Status.CANCELLED: _CLIENT_CLOSED_REQUEST,
    Status.UNKNOWN: HTTPStatus.INTERNAL_SERVER_ERROR,
    Status.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Status.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    Status.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Status.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Status.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Status.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Status.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    Status.ABORTED: HTTPStatus.CONFLICT,
    Status.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    Status.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Status.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    Status.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Status.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}


class CloudError(Exception):
    """A request refused as Google refuses it.

    `http_code` replaces the canonical code where a service has its own (Cloud Storage answers a failed precondition
    with 412, not 400); `reason` is the word of the older JSON APIs ("conditionNotMet") and adds their `errors` list.
    """

    def __init__(
        self, status: Status, message: str, *, http_code: int | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.http_code = int(status.http_code if http_code is None else http_code)
        self.reason = reason

    @property
    def grpc_code(self) -> Any:
        """The `grpc.StatusCode` of the same name; grpc is imported here, for the REST services run without it."""
        import grpc

        return grpc.StatusCode[self.status.value]

    def rest_error(self) -> dict[str, Any]:
        """Google's JSON form: `{"error": {"code", "message", "status"}}`, with `errors` when there is a reason."""
        error: dict[str, Any] = {"code": self.http_code, "message": self.message, "status": self.status.value}
        if self.reason is not None:
            error["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
        return {"error": error}

    def rest_body(self) -> bytes:
        """`rest_error` as UTF-8 JSON, ready to be sent with `http_code` and content type application/json."""
        return json.dumps(self.rest_error()).encode()


def unimplemented(what: str) -> CloudError:
    """The error for a method or a setting that Google has and the local cloud has not, in Google's words."""
    return CloudError(
        Status.UNIMPLEMENTED, f"Operation is not implemented, or supported, or enabled: {what} (local cloud)."
    )


def status_of_http(code: int) -> Status:
    """The canonical status of an HTTP code: the first that has it, UNKNOWN when none has."""
    return next((status for status, http_code in _HTTP_CODES.items() if http_code == code), Status.UNKNOWN)
