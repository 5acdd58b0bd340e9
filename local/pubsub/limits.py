"""What Google refuses: ids, sizes and attributes beyond its limits."""

import re
from typing import Any

from local.errors import CloudError, Status

MAX_REQUEST_BYTES = 10_000_000
MAX_MESSAGES = 1000
MAX_ATTRIBUTES = 100
MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 1024
_NAME = re.compile(r"projects/[^/]+/(topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


def check_name(name: str, kind: str) -> None:
    """Raises INVALID_ARGUMENT when a resource name is not one of Google's."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] != kind:
        raise CloudError(Status.INVALID_ARGUMENT, f"Invalid [{kind}] name: (name={name})")


def check_messages(messages: Any) -> None:
    """Raises INVALID_ARGUMENT when a publish request exceeds a limit."""
    if not messages or len(messages) > MAX_MESSAGES:
        raise _invalid(f"The request must hold 1 to {MAX_MESSAGES} messages.")
    if sum(message.ByteSize() for message in messages) > MAX_REQUEST_BYTES:
        raise _invalid(f"Request payload size exceeds the limit: {MAX_REQUEST_BYTES} bytes.")
    for message in messages:
        if not message.data and not message.attributes:
            raise _invalid("Some messages are empty: data or an attribute is required.")
        _check_attributes(message.attributes)


def _check_attributes(attributes: Any) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise _invalid(f"A message has more than {MAX_ATTRIBUTES} attributes.")
    for key, value in attributes.items():
        if not key or len(key.encode()) > MAX_KEY_BYTES or key.startswith("goog"):
            raise _invalid("An attribute's key is empty, too long or reserved.")
        if len(value.encode()) > MAX_VALUE_BYTES:
            raise _invalid(f"An attribute's value is longer than {MAX_VALUE_BYTES} bytes.")


def _invalid(message: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, message)
