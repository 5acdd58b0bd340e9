"""What Google refuses: names, sizes, attributes and durations beyond its limits, each in Google's words where known."""

import re
from typing import Any

from local.errors import CloudError, Status

MAX_PUBLISH_BYTES = 10_000_000
MAX_MESSAGES = 1000
MAX_PULL_BYTES = 10_000_000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
MAX_ORDERING_KEY_BYTES = 1024
MAX_ACK_SECONDS = 600
MAX_PAGE = 1000
_NAME = re.compile(r"projects/([^/]+)/(topics|subscriptions)/((?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254})")
# Reserved keys begin with "goog", but the client libraries' own tracing writes these.
_CLIENT_KEYS = "googclient_"


def invalid(message: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, message)


def check_name(name: str, kind: str) -> None:
    """Raises INVALID_ARGUMENT when a resource name is not one of Google's."""
    match = _NAME.fullmatch(name)
    if match is None or match[2] != kind:
        raise invalid(f"Invalid [{kind}] name: (name={name})")


def check_project(name: str) -> None:
    """Raises INVALID_ARGUMENT when this is no project's name."""
    if re.fullmatch(r"projects/[^/]+", name) is None:
        raise invalid(f"Invalid [projects] name: (name={name})")


def check_publish(request: Any) -> None:
    """Raises INVALID_ARGUMENT when a publish request exceeds a limit."""
    check_range("message_count", len(request.messages), 1, MAX_MESSAGES)
    check_range("request_size", request.ByteSize(), 0, MAX_PUBLISH_BYTES)
    for message in request.messages:
        _check_message(message)


def check_range(what: str, value: int, least: int, most: int, status: Status = Status.INVALID_ARGUMENT) -> None:
    """Raises INVALID_ARGUMENT, or the status given, when a value is outside its range, ends included."""
    if least <= value <= most:
        return
    size, end, limit = ("small", "minimum", least) if value < least else ("large", "maximum", most)
    raise CloudError(
        status,
        f"The value for {what} is too {size}. You passed {value} in the request, but the {end} value is {limit}.",
    )


def _check_message(message: Any) -> None:
    if not message.data and not message.attributes:
        raise invalid(
            "One or more messages in the publish request is empty. "
            "Each message must contain either non-empty data, or at least one attribute."
        )
    check_range("ordering_key_size", len(message.ordering_key.encode()), 0, MAX_ORDERING_KEY_BYTES)
    check_range("attribute_count", len(message.attributes), 0, MAX_ATTRIBUTES)
    for key, value in message.attributes.items():
        check_range("attribute_key_size", len(key.encode()), 1, MAX_KEY_BYTES)
        check_range("attribute_value_size", len(value.encode()), 0, MAX_VALUE_BYTES)
        if key.startswith("goog") and not key.startswith(_CLIENT_KEYS):
            raise invalid('An attribute key must not begin with "goog".')
