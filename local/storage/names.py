"""Which names Cloud Storage accepts, checked once at the door so that the rest may trust them."""

import re
from typing import NewType

from local.storage.errors import invalid

BucketName = NewType("BucketName", str)
ObjectName = NewType("ObjectName", str)
Generation = NewType("Generation", int)
UploadId = NewType("UploadId", str)
NotificationId = NewType("NotificationId", str)

# https://cloud.google.com/storage/docs/objects#naming and /docs/buckets#naming
_OBJECT_NAME_LIMIT_BYTES = 1024
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")
_DOTTED_BUCKET_NAME = re.compile(r"(?=.{3,222}\Z)[a-z0-9][a-z0-9_-]{0,62}(\.[a-z0-9][a-z0-9_-]{0,62})+")


def bucket_name(text: object) -> BucketName:
    """A bucket name Google would create; CloudError 400 otherwise."""
    if not isinstance(text, str) or not _is_bucket_name(text):
        raise invalid(f"Invalid bucket name: '{text}'")
    return BucketName(text)


def _is_bucket_name(text: str) -> bool:
    if text.startswith("goog") or text[-1:] in ("-", "_"):
        return False
    return bool(_BUCKET_NAME.fullmatch(text) or _DOTTED_BUCKET_NAME.fullmatch(text))


def object_name(text: object) -> ObjectName:
    """An object name Google would create; CloudError 400 otherwise."""
    if not isinstance(text, str) or not _is_object_name(text):
        raise invalid(f"Invalid object name: '{text!s:.64}'")
    return ObjectName(text)


def _is_object_name(text: str) -> bool:
    if text in ("", ".", "..") or "\r" in text or "\n" in text or text.startswith(".well-known/acme-challenge/"):
        return False
    try:
        return len(text.encode()) <= _OBJECT_NAME_LIMIT_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and UTF-8 cannot
        return False
