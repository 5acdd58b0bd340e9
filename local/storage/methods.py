"""What Google calls each request of the JSON API, by which faults are scripted."""

import re

_BUCKET = "/storage/v1/b/[^/]+"
_OBJECT = f"{_BUCKET}/o/[^/]+"
_NAMES = [
    (verb, re.compile(path), f"storage.{name}")
    for verb, path, name in (
        ("GET", "/storage/v1/b", "buckets.list"),
        ("POST", "/storage/v1/b", "buckets.insert"),
        ("GET", _BUCKET, "buckets.get"),
        ("PATCH", _BUCKET, "buckets.patch"),
        ("PUT", _BUCKET, "buckets.update"),
        ("DELETE", _BUCKET, "buckets.delete"),
        ("GET", f"{_BUCKET}/o", "objects.list"),
        ("POST|PUT", "/upload/storage/v1/b/[^/]+/o", "objects.insert"),
        ("GET", f"(/download)?{_OBJECT}", "objects.get"),
        ("PATCH", _OBJECT, "objects.patch"),
        ("PUT", _OBJECT, "objects.update"),
        ("DELETE", _OBJECT, "objects.delete"),
        ("POST", f"{_OBJECT}/copyTo/.*", "objects.copy"),
        ("POST", f"{_OBJECT}/rewriteTo/.*", "objects.rewrite"),
        ("GET", f"{_BUCKET}/notificationConfigs", "notifications.list"),
        ("POST", f"{_BUCKET}/notificationConfigs", "notifications.insert"),
        ("GET", f"{_BUCKET}/notificationConfigs/[^/]+", "notifications.get"),
        ("DELETE", f"{_BUCKET}/notificationConfigs/[^/]+", "notifications.delete"),
        ("GET", "/storage/v1/projects/[^/]+/serviceAccount", "serviceaccount.get"),
    )
]


def method_name(verb: str, raw_path: str) -> str | None:
    """For example `storage.objects.insert`; None for what is no request of the API."""
    found = (name for verbs, path, name in _NAMES if verb in verbs.split("|") and path.fullmatch(raw_path))
    return next(found, None)
