"""The error that every local service refuses with, in both forms."""

import json

import grpc
import pytest

from local.errors import CloudError, Status, status_of_http


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.INVALID_ARGUMENT, 400),
        (Status.FAILED_PRECONDITION, 400),
        (Status.UNAUTHENTICATED, 401),
        (Status.PERMISSION_DENIED, 403),
        (Status.NOT_FOUND, 404),
        (Status.ALREADY_EXISTS, 409),
        (Status.ABORTED, 409),
        (Status.RESOURCE_EXHAUSTED, 429),
        (Status.CANCELLED, 499),
        (Status.INTERNAL, 500),
        (Status.UNIMPLEMENTED, 501),
        (Status.UNAVAILABLE, 503),
        (Status.DEADLINE_EXCEEDED, 504),
    ],
)
def test_a_status_has_googles_http_code(status: Status, code: int) -> None:
    assert CloudError(status, "no").rest_error() == {"error": {"code": code, "message": "no", "status": status.value}}


@pytest.mark.parametrize("status", Status)
def test_a_status_is_a_grpc_code_of_the_same_name(status: Status) -> None:
    assert CloudError(status, "no").grpc_code is grpc.StatusCode[status.name]


def test_a_service_may_have_its_own_code_and_reason() -> None:
    error = CloudError(Status.FAILED_PRECONDITION, "wrong génération", http_code=412, reason="conditionNotMet")
    assert json.loads(error.rest_body()) == {
        "error": {
            "code": 412,
            "message": "wrong génération",
            "status": "FAILED_PRECONDITION",
            "errors": [{"message": "wrong génération", "domain": "global", "reason": "conditionNotMet"}],
        }
    }


def test_a_status_is_found_by_its_http_code() -> None:
    assert [status_of_http(code) for code in (404, 503, 418)] == [
        Status.NOT_FOUND,
        Status.UNAVAILABLE,
        Status.UNKNOWN,
    ]
