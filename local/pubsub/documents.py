"""JSON into Google's messages, refused where Google refuses it and in its words; protobuf's own reader is more lenient.

Field names are taken in camelCase and in snake_case, numbers also as strings, null as not there.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from local.errors import CloudError
from local.pubsub.limits import invalid

_PAYLOAD = "Invalid JSON payload received."
_SHOWN_CHARACTERS = 40
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: ("TYPE_INT32", -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: ("TYPE_INT64", -(2**63), 2**63 - 1),
}


def read_json(body: bytes) -> dict[str, Any]:
    """A request's body as a JSON object; nothing at all is an empty one."""
    if not body.strip():
        return {}
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _malformed(error) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of too many digits, too deep
        raise invalid(f"{_PAYLOAD} Parsing terminated before end of input.") from error
    if not isinstance(document, dict):
        raise invalid(f'{_PAYLOAD} Unknown name "": Root element must be a message.')
    return document


def read_body(document: Mapping[str, Any], message: Any) -> Any:
    """Fills a message from a body; raises INVALID_ARGUMENT with the place of what is wrong."""
    _fill(message, document, "")
    return message


def read_query(parameters: Mapping[str, str], message: Any) -> Any:
    """Fills a message from query parameters."""
    for name in parameters:
        if _field(message.DESCRIPTOR, name) is None:
            raise invalid(
                f'{_PAYLOAD} Unknown name "{name}": Cannot bind query parameter. '
                f"Field '{name}' could not be found in request message."
            )
    return read_body(parameters, message)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("JSON has no such constant")


def _malformed(error: json.JSONDecodeError) -> CloudError:
    what = "Unexpected end of string." if error.pos >= len(error.doc.rstrip()) else "Unexpected token."
    start = max(0, error.pos - _SHOWN_CHARACTERS)
    shown = error.doc[start : error.pos + _SHOWN_CHARACTERS].replace("\n", " ")
    return invalid(f"{_PAYLOAD} {what}\n{shown}\n{' ' * (error.pos - start)}^")


def _wrong(path: str, kind: str, value: Any) -> CloudError:
    return invalid(f"Invalid value at '{path}' ({kind}), {json.dumps(value)[:_SHOWN_CHARACTERS]}")


def _field(descriptor: Any, name: str) -> Any:
    return descriptor.fields_by_camelcase_name.get(name) or descriptor.fields_by_name.get(name)


def _fill(message: Any, document: Any, path: str) -> None:
    if not isinstance(document, Mapping):
        raise _wrong(path, f"type.googleapis.com/{message.DESCRIPTOR.full_name}", document)
    for name, value in document.items():
        field = _field(message.DESCRIPTOR, name)
        if field is None:
            place = f" at '{path}'" if path else ""
            raise invalid(f"{_PAYLOAD} Unknown name {json.dumps(name)}{place}: Cannot find field.")
        if value is not None:
            _set(message, field, value, f"{path}.{field.name}" if path else field.name)


def _set(message: Any, field: Any, value: Any, path: str) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _fill_map(getattr(message, field.name), field, value, path)
    elif field.is_repeated:
        _fill_list(getattr(message, field.name), field, value, path)
    elif field.message_type is not None:
        _fill_message(getattr(message, field.name), value, path)
    else:
        setattr(message, field.name, _scalar(field, value, path))


def _fill_map(entries: Any, field: Any, value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(path, f"Map<string, {_kind(field.message_type.fields_by_name['value'])}>", value)
    for key, each in value.items():
        entry = f"{path}[{len(entries)}]"
        text = _scalar(field.message_type.fields_by_name["key"], key, f"{entry}.key")
        entries[text] = _scalar(field.message_type.fields_by_name["value"], each, f"{entry}.value")


def _fill_list(items: Any, field: Any, value: Any, path: str) -> None:
    if not isinstance(value, list):
        raise _wrong(path, _kind(field), value)
    for number, each in enumerate(value):
        place = f"{path}[{number}]"
        if field.message_type is not None:
            _fill_message(items.add(), each, place)
        else:
            items.append(_scalar(field, each, place))


def _fill_message(message: Any, value: Any, path: str) -> None:
    message.SetInParent()
    if not message.DESCRIPTOR.full_name.startswith("google.protobuf."):
        _fill(message, value, path)
        return
    try:  # durations, timestamps, masks, whose forms are protobuf's own
        json_format.ParseDict(value, message)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong(path, f"type.googleapis.com/{message.DESCRIPTOR.full_name}", value) from error


def _kind(field: Any) -> str:
    if field.message_type is not None:
        return f"type.googleapis.com/{field.message_type.full_name}"
    return next(name for name, number in vars(FieldDescriptor).items() if name[:5] == "TYPE_" and number == field.type)


def _scalar(field: Any, value: Any, path: str) -> Any:
    found: Any = None
    if field.type == FieldDescriptor.TYPE_STRING and isinstance(value, str):
        found = None if re.search("[\ud800-\udfff]", value) else value
    elif field.type == FieldDescriptor.TYPE_BYTES and isinstance(value, str):
        found = _base64(value, path)
    elif field.type in _INTEGERS:
        found = _integer(value, *_INTEGERS[field.type][1:])
    elif field.type == FieldDescriptor.TYPE_BOOL and isinstance(value, bool):
        found = value
    elif field.type == FieldDescriptor.TYPE_ENUM and isinstance(value, str) and value in field.enum_type.values_by_name:
        found = field.enum_type.values_by_name[value].number
    if found is None:
        raise _wrong(path, _kind(field), value)
    return found


def _integer(value: Any, least: int, most: int) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return None
    return value


def _base64(value: str, path: str) -> bytes:
    standard = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        shown = json.dumps(value[:_SHOWN_CHARACTERS])
        raise invalid(f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {shown}") from error
