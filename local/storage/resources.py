"""The JSON resources of Cloud Storage, as https://cloud.google.com/storage/docs/json_api/v1 defines them."""

import base64
import time
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from local.storage.buckets import Bucket
from local.storage.stored import StoredObject

_US_PER_SECOND = 1_000_000
_MULTI_REGIONS = ("ASIA", "EU", "US")


def rfc3339(time_us: int, digits: int = 3) -> str:
    """Time in UTC with milliseconds, as resources have it (notifications: 6 digits)."""
    seconds, fraction_us = divmod(time_us, _US_PER_SECOND)
    fraction = f"{fraction_us:06d}"[:digits]
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction}Z"


def etag(generation: int, metageneration: int) -> str:
    """Google's form: base64 of the protobuf message {1: generation, 2: metageneration}."""
    return base64.b64encode(b"\x08" + _varint(generation) + b"\x10" + _varint(metageneration)).decode()


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def project_number(project: str) -> str:
    """A number that is the same for the same project for ever, since there is nobody to ask for the real one."""
    return str(100_000_000_000 + zlib.crc32(project.encode()))


def bucket_resource(bucket: Bucket, base_url: str) -> dict[str, Any]:
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{base_url}/storage/v1/b/{bucket.name}",
        "projectNumber": project_number(bucket.project),
        "metageneration": str(bucket.metageneration),
        "etag": etag(0, bucket.metageneration),
        "timeCreated": rfc3339(bucket.created_us),
        "updated": rfc3339(bucket.updated_us),
        "locationType": "multi-region" if bucket.attributes["location"] in _MULTI_REGIONS else "region",
        **bucket.attributes,
    }


def object_resource(stored: StoredObject, base_url: str) -> dict[str, Any]:
    path = f"storage/v1/b/{stored.bucket}/o/{quote(stored.name, safe='')}"
    created, generation = rfc3339(stored.created_us), str(stored.generation)
    resource = {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{generation}",
        "selfLink": f"{base_url}/{path}",
        "mediaLink": f"{base_url}/download/{path}?generation={generation}&alt=media",
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": generation,
        "metageneration": str(stored.metageneration),
        "contentType": stored.content_type,
        "storageClass": "STANDARD",
        "size": str(stored.size_bytes),
        "md5Hash": stored.md5,
        "crc32c": stored.crc32c,
        "etag": etag(stored.generation, stored.metageneration),
        "timeCreated": created,
        "updated": rfc3339(stored.updated_us),
        "timeStorageClassUpdated": created,
        "timeFinalized": created,
        **stored.attributes,
    }
    if stored.deleted_us is not None:
        resource["timeDeleted"] = rfc3339(stored.deleted_us)
    return resource


def service_account_resource(project: str) -> dict[str, Any]:
    """The agent that publishes the notifications of a project's buckets."""
    email = f"service-{project_number(project)}@gs-project-accounts.iam.gserviceaccount.com"
    return {"kind": "storage#serviceAccount", "email_address": email}


def rewrite_resource(stored: StoredObject, base_url: str) -> dict[str, Any]:
    """The answer of a rewrite that was done in one call."""
    return {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(stored.size_bytes),
        "objectSize": str(stored.size_bytes),
        "done": True,
        "resource": object_resource(stored, base_url),
    }


def page_resource(kind: str, items: list[dict[str, Any]], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A list answer; like Google's, it has no empty lists and no null token."""
    optional = {"items": items, **extra}
    return {"kind": kind, **{key: value for key, value in optional.items() if value}}
