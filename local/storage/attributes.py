"""What a client may set on an object or a bucket, and how a PATCH changes it (JSON merge patch, RFC 7396).

A field of Google's that would have to *do* something here and does not (holds, retention) is refused, not ignored:
a laptop must not seem to hold what the cloud would hold.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local.storage.errors import invalid, unimplemented

Attributes = dict[str, Any]

_OBJECT_TEXTS = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "storageClass",
)
_OBJECT_REFUSED = ("acl", "contexts", "eventBasedHold", "kmsKeyName", "retention", "temporaryHold")
# https://cloud.google.com/storage/quotas#objects: all keys and values together
_METADATA_LIMIT_BYTES = 8 * 1024

_BUCKET_TEXTS = ("location", "locationType", "storageClass", "rpo")
_BUCKET_OBJECTS = ("iamConfiguration", "labels", "lifecycle", "logging", "softDeletePolicy", "versioning", "website")
_BUCKET_REFUSED = (
    "acl",
    "autoclass",
    "billing",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "defaultObjectAcl",
    "encryption",
    "hierarchicalNamespace",
    "ipFilter",
    "objectRetention",
    "retentionPolicy",
)
_IMMUTABLE_OF_BUCKET = ("location", "locationType")


def object_attributes(resource: Mapping[str, Any]) -> Attributes:
    """The settable fields of an object resource; read-only ones are dropped. CloudError 400, 501."""
    _refuse_unsupported(resource, _OBJECT_REFUSED)
    attributes = {field: resource[field] for field in _OBJECT_TEXTS if resource.get(field) is not None}
    for field, value in attributes.items():
        _require_header_text(field, value)
    _require_time(attributes.get("customTime"))
    if resource.get("metadata") is not None:
        attributes["metadata"] = _custom_metadata(resource["metadata"])
    return attributes


def _custom_metadata(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict):
        raise invalid("metadata: must be an object of strings")
    wrong = [key for key, value in metadata.items() if not isinstance(value, str)]
    if wrong:
        raise invalid(f"metadata: the values of {wrong[:3]} must be strings")
    size_bytes = sum(len(_utf8(key)) + len(_utf8(value)) for key, value in metadata.items())
    if size_bytes > _METADATA_LIMIT_BYTES:
        raise invalid(f"metadata: keys and values together are larger than {_METADATA_LIMIT_BYTES} bytes")
    return metadata


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid("metadata: not Unicode text") from None


def _require_header_text(field: str, value: object) -> None:
    """The value comes back as a header of downloads, where a line end would be another header."""
    if not isinstance(value, str):
        raise invalid(f"{field}: must be a string")
    if not value.isprintable() or not _is_latin(value):
        raise invalid(f"{field}: must be printable text")


def _is_latin(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _require_time(value: str | None) -> None:
    if value is None:
        return
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise invalid("customTime: must be an RFC 3339 time") from None


def bucket_attributes(resource: Mapping[str, Any]) -> Attributes:
    """The settable fields of a bucket resource; read-only ones are dropped. CloudError 400, 501."""
    _refuse_unsupported(resource, _BUCKET_REFUSED)
    for field, kind in (*((text, str) for text in _BUCKET_TEXTS), *((map_, dict) for map_ in _BUCKET_OBJECTS)):
        _require_kind(resource, field, kind)
    _require_kind(resource, "cors", list)
    fields = (*_BUCKET_TEXTS, *_BUCKET_OBJECTS, "cors")
    return {field: resource[field] for field in fields if resource.get(field) is not None}


def bucket_changes(patch: Mapping[str, Any]) -> Attributes:
    """The settable fields of a bucket PATCH, nulls (removals) among them. CloudError 400, 501."""
    present = bucket_attributes(patch)
    removed = {field: None for field in (*_BUCKET_TEXTS, *_BUCKET_OBJECTS, "cors") if _is_null(patch, field)}
    return {field: value for field, value in (present | removed).items() if field not in _IMMUTABLE_OF_BUCKET}


def object_changes(patch: Mapping[str, Any]) -> Attributes:
    """The settable fields of an object PATCH, nulls (removals) among them; checked after the merge, as a whole."""
    _refuse_unsupported(patch, _OBJECT_REFUSED)
    return {field: patch[field] for field in (*_OBJECT_TEXTS, "metadata") if field in patch}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396: a null removes, an object is merged, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _refuse_unsupported(resource: Mapping[str, Any], fields: tuple[str, ...]) -> None:
    refused = [field for field in fields if resource.get(field)]
    if refused:
        raise unimplemented(f"the field {refused[0]}")


def _require_kind(resource: Mapping[str, Any], field: str, kind: type) -> None:
    if resource.get(field) is not None and not isinstance(resource[field], kind):
        raise invalid(f"{field}: wrong type")


def _is_null(resource: Mapping[str, Any], field: str) -> bool:
    return field in resource and resource[field] is None
