"""Objects on the wire: metadata, downloads, listings, copies."""

import re
from email.utils import formatdate
from http import HTTPStatus

from local.storage.attributes import object_attributes
from local.storage.errors import range_not_satisfiable, unimplemented
from local.storage.listing import list_objects
from local.storage.names import BucketName, object_name
from local.storage.parameters import check_read, list_query, preconditions, refuse_encryption
from local.storage.resources import etag, object_resource, page_resource, rewrite_resource
from local.storage.service import Service
from local.storage.stored import StoredObject
from local.storage.wire import FileSlice, Headers, Request, Response, json_response, no_content

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))")
_PASSED_HEADERS = {
    "cacheControl": b"cache-control",
    "contentDisposition": b"content-disposition",
    "contentEncoding": b"content-encoding",
    "contentLanguage": b"content-language",
}


async def answer_objects(service: Service, request: Request, bucket: str) -> Response:
    if request.method != "GET":
        raise unimplemented(f"{request.method} on objects without upload")
    service.buckets.get(bucket)
    page = list_objects(service.connection, list_query(request, bucket))
    items = [object_resource(stored, request.base_url) for stored in page.items]
    following = None if page.following is None else page.following.token()
    return json_response(
        request, page_resource("storage#objects", items, {"prefixes": page.prefixes, "nextPageToken": following})
    )


async def answer_object(service: Service, request: Request, bucket: str, name: str) -> Response:
    generation, wanted = request.number("generation"), preconditions(request)
    match request.method:
        case "GET" if request.query.get("alt") == "media":
            return download(service, request, bucket, name)
        case "GET":
            stored = service.objects.get(bucket, name, generation)
            check_read(request, wanted, stored)
        case "PATCH":
            patch = await request.resource()
            stored = service.objects.patch(bucket, name, generation, patch, wanted)
        case "PUT":
            resource = await request.resource()
            stored = service.objects.replace_attributes(bucket, name, generation, resource, wanted)
        case "DELETE":
            service.objects.delete(bucket, name, generation, wanted)
            return no_content()
        case _:
            raise unimplemented(f"{request.method} on an object")
    return json_response(request, object_resource(stored, request.base_url))


def download(service: Service, request: Request, bucket: str, name: str) -> Response:
    refuse_encryption(request)
    generation, wanted = request.number("generation"), preconditions(request)
    stored = service.objects.get(bucket, name, generation)
    check_read(request, wanted, stored)
    span = _span(request.headers.get("range"), stored.size_bytes)
    headers = _media_headers(stored)
    if span is None:
        return Response(HTTPStatus.OK, headers, _bytes(service, stored, 0, stored.size_bytes))
    start, end = span
    headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, stored.size_bytes)))
    return Response(HTTPStatus.PARTIAL_CONTENT, headers, _bytes(service, stored, start, end))


def _bytes(service: Service, stored: StoredObject, start: int, end: int) -> bytes | FileSlice:
    if stored.file is None:
        return service.bodies.read_small(stored.id)[start:end]
    return FileSlice(service.bodies.path(stored.file), start, end - start)


def _span(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """The bytes [start, end) of a Range header; None for the whole, also when it is no range (RFC 9110, 14.2)."""
    match = _RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if first is None:
        start, end = max(size_bytes - int(suffix), 0), size_bytes
    else:
        start, end = int(first), size_bytes if last is None else min(int(last) + 1, size_bytes)
    if first is not None and last is not None and int(last) < int(first):
        return None
    if start >= size_bytes or suffix == "0":
        raise range_not_satisfiable()
    return start, end


def _media_headers(stored: StoredObject) -> Headers:
    """What Google sends with the bytes: no custom metadata and no creation time, those need the resource."""
    encoding = stored.attributes.get("contentEncoding", "identity")
    headers = [
        (b"content-type", stored.content_type.encode("latin-1")),
        (b"etag", etag(stored.generation, stored.metageneration).encode()),
        (b"last-modified", formatdate(stored.updated_us / 1e6, usegmt=True).encode()),
        (b"accept-ranges", b"bytes"),
        (b"x-goog-generation", b"%d" % stored.generation),
        (b"x-goog-metageneration", b"%d" % stored.metageneration),
        (b"x-goog-hash", f"crc32c={stored.crc32c},md5={stored.md5}".encode()),
        (b"x-goog-storage-class", stored.attributes.get("storageClass", "STANDARD").encode("latin-1")),
        (b"x-goog-stored-content-encoding", encoding.encode("latin-1")),
        (b"x-goog-stored-content-length", b"%d" % stored.size_bytes),
    ]
    passed = [(header, stored.attributes.get(field)) for field, header in _PASSED_HEADERS.items()]
    return headers + [(header, value.encode("latin-1")) for header, value in passed if value]


async def answer_copy(
    service: Service, request: Request, source: tuple[str, str], target: tuple[str, str]
) -> StoredObject:
    """copyTo and rewriteTo: both are done in one call here."""
    refuse_encryption(request)
    attributes = object_attributes(await request.resource())
    original = service.objects.get(*source, request.number("sourceGeneration"))
    preconditions(request, "ifSource").check_write(original)
    bucket, name = BucketName(target[0]), object_name(target[1])
    return service.objects.copy(original, bucket, name, attributes, preconditions(request))


async def answer_copy_to(
    service: Service, request: Request, source: tuple[str, str], target: tuple[str, str]
) -> Response:
    return json_response(
        request, object_resource(await answer_copy(service, request, source, target), request.base_url)
    )


async def answer_rewrite_to(
    service: Service, request: Request, source: tuple[str, str], target: tuple[str, str]
) -> Response:
    return json_response(
        request, rewrite_resource(await answer_copy(service, request, source, target), request.base_url)
    )
