"""The refusals of Cloud Storage, each in Google's own words, so that no message is written twice.

Refused            = local.errors.CloudError, answered as {"error": {"code", "message", "errors": [{"reason"}]}}
NotModified        answered as 304 without a body
ClientGone         not answered at all: nobody is there any more
"""

from http import HTTPStatus

from local.errors import CloudError, Status


class NotModified(Exception):
    """The reader already has what it asks for (304)."""


class ClientGone(Exception):
    """The connection ended before the request did; what was half received must not become visible."""


def bucket_not_found() -> CloudError:
    return CloudError(Status.NOT_FOUND, "The specified bucket does not exist.", reason="notFound")


def object_not_found(bucket: str, name: str) -> CloudError:
    return CloudError(Status.NOT_FOUND, f"No such object: {bucket}/{name}", reason="notFound")


def notification_not_found(bucket: str, notification_id: str) -> CloudError:
    message = f"Notification {notification_id} of bucket {bucket} does not exist."
    return CloudError(Status.NOT_FOUND, message, reason="notFound")


def upload_not_found() -> CloudError:
    return CloudError(Status.NOT_FOUND, "No such upload session.", reason="notFound")


def upload_cancelled() -> CloudError:
    """The answer to the DELETE of an upload session: Google has it as an error, though it is the success."""
    return CloudError(Status.CANCELLED, "Client closed the upload session.", reason="clientClosedRequest")


def upload_taken_over() -> CloudError:
    message = "Another request is writing to this upload session."
    return CloudError(Status.UNAVAILABLE, message, reason="backendError")


def bucket_exists() -> CloudError:
    message = "Your previous request to create the named bucket succeeded and you already own it."
    return CloudError(Status.ALREADY_EXISTS, message, reason="conflict")


def bucket_not_empty() -> CloudError:
    message = "The bucket you tried to delete is not empty."
    return CloudError(Status.ALREADY_EXISTS, message, reason="conflict")


def condition_not_met() -> CloudError:
    return CloudError(
        Status.FAILED_PRECONDITION,
        "At least one of the pre-conditions you specified did not hold.",
        http_code=HTTPStatus.PRECONDITION_FAILED,
        reason="conditionNotMet",
    )


def range_not_satisfiable() -> CloudError:
    return CloudError(
        Status.OUT_OF_RANGE,
        "Requested range not satisfiable",
        http_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        reason="requestedRangeNotSatisfiable",
    )


def invalid(message: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, message, reason="invalid")


def required(what: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, f"Required parameter: {what}", reason="required")


def malformed(message: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, message, reason="parseError")


def checksum_mismatch(kind: str, claimed: str, actual: str) -> CloudError:
    return invalid(f'Provided {kind} "{claimed}" doesn\'t match calculated {kind} "{actual}".')


def too_large(what: str, limit_bytes: int) -> CloudError:
    return CloudError(
        Status.INVALID_ARGUMENT,
        f"{what} is larger than {limit_bytes} bytes.",
        http_code=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        reason="uploadTooLarge",
    )


def too_fast(bucket: str, name: str) -> CloudError:
    return CloudError(
        Status.RESOURCE_EXHAUSTED,
        f"The object {bucket}/{name} exceeded the rate limit for object mutation operations (create, update, and "
        "delete). Please reduce your request rate. See https://cloud.google.com/storage/docs/gcs429.",
        reason="rateLimitExceeded",
    )


def host_not_loopback() -> CloudError:
    message = "The local cloud answers only requests whose Host is this machine's loopback."
    return CloudError(Status.PERMISSION_DENIED, message, reason="forbidden")


def unimplemented(what: str) -> CloudError:
    return CloudError(
        Status.UNIMPLEMENTED, f"The local Cloud Storage does not implement {what}.", reason="notImplemented"
    )


def internal() -> CloudError:
    message = "We encountered an internal error. Please try again."
    return CloudError(Status.INTERNAL, message, reason="backendError")
