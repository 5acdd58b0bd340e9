"""Reads the fields of a request's JSON: a value of its type, or INVALID_ARGUMENT in Google's words.

The rules are those of proto3's JSON form: an absent field is its default, null is absent, whole numbers may be strings.
"""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from local.errors import CloudError, Status

Document = dict[str, Any]
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)s")
_LABEL = re.compile(r"[\w-]{0,63}")
_MAX_LABELS = 64
_INT32 = range(-(2**31), 2**31)


def text(document: Document, field: str) -> str:
    value = document.get(field)
    if value is None:
        return ""
    return value if isinstance(value, str) else _refuse(field, "TYPE_STRING", value)


def required_text(document: Document, field: str) -> str:
    found = text(document, field)
    if not found:
        raise CloudError(Status.INVALID_ARGUMENT, f"The required field {field} is not set.")
    return found


def flag(document: Document, field: str) -> bool:
    value = document.get(field)
    if value is None:
        return False
    return value if isinstance(value, bool) else _refuse(field, "TYPE_BOOL", value)


def part(document: Document, field: str) -> Document:
    """A nested message, empty when absent."""
    value = document.get(field)
    if value is None:
        return {}
    return value if isinstance(value, dict) else _refuse(field, "a message", value)


def parts(document: Document, field: str) -> list[Document]:
    """A list of nested messages."""
    value = _list(document, field)
    return value if all(isinstance(each, dict) for each in value) else _refuse(field, "messages", value)


def texts(document: Document, field: str) -> list[str]:
    value = _list(document, field)
    return value if all(isinstance(each, str) for each in value) else _refuse(field, "TYPE_STRING", value)


def labels(document: Document) -> dict[str, str]:
    """The labels, within Google's limits on number, length and characters."""
    found = part(document, "labels")
    if len(found) > _MAX_LABELS:
        raise CloudError(Status.INVALID_ARGUMENT, f"There are more than {_MAX_LABELS} labels.")
    for key, value in found.items():
        if not isinstance(value, str):
            _refuse("labels", "TYPE_STRING", value)
        if not key or any(not _LABEL.fullmatch(each) or each != each.lower() for each in (key, value)):
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid label: {key}={value}")
    return found


def split(document: Document) -> dict[str, int]:
    """A traffic split: percents by the id of a deployed model."""
    found = part(document, "trafficSplit")
    return {key: _whole("trafficSplit", value) for key, value in found.items()}


def duration_seconds(document: Document, field: str) -> float | None:
    value = text(document, field)
    if not value:
        return None
    match = _DURATION.fullmatch(value)
    return float(match[1]) if match else _refuse(field, "type.googleapis.com/google.protobuf.Duration", value)


def environment(container: Document) -> dict[str, str]:
    """The variables that a container specification asks for."""
    return {required_text(each, "name"): text(each, "value") for each in parts(container, "env")}


def mask(query: Mapping[str, str]) -> list[str]:
    """The paths of `updateMask`, in the camel case of JSON."""
    paths = query.get("updateMask", "").split(",")
    return [re.sub("_([a-z])", lambda match: match[1].upper(), path.strip()) for path in paths if path.strip()]


def _list(document: Document, field: str) -> list[Any]:
    value = document.get(field)
    if value is None:
        return []
    return value if isinstance(value, list) else _refuse(field, "a list", value)


def _whole(field: str, value: Any) -> int:
    try:
        number = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    return number if number is not None and number in _INT32 else _refuse(field, "TYPE_INT32", value)


def _refuse(field: str, kind: str, value: Any) -> NoReturn:
    raise CloudError(Status.INVALID_ARGUMENT, f"Invalid value at '{field}' ({kind}), {str(value)[:100]!r}")
