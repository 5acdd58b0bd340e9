"""Addresses that a person can open in a browser, for what stands in a bucket."""

from urllib.parse import quote

_OBJECTS = "https://storage.cloud.google.com"
_FOLDERS = "https://console.cloud.google.com/storage/browser"


def link_to(place: str, endpoint: str | None) -> str:
    """The address of an object, or of a folder if its place ends with a slash; `place` is `gs://<bucket>/<key>`.

    `endpoint` is where the buckets are, None for Google's own, whose pages ask who one is.
    """
    bucket, _, key = place.removeprefix("gs://").partition("/")
    is_folder = place.endswith("/")
    if endpoint is None:
        return f"{_FOLDERS if is_folder else _OBJECTS}/{bucket}/{quote(key)}"
    objects = f"{endpoint}/storage/v1/b/{bucket}/o"
    name = quote(key, safe="")
    return f"{objects}?prefix={name}" if is_folder else f"{objects}/{name}?alt=media"
