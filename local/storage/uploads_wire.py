"""Uploads on the wire: media, multipart and resumable (https://cloud.google.com/storage/docs/json_api/v1/objects/insert).

A resumable session:   POST ──► 200 Location      PUT bytes a-b/* ──► 308 Range: bytes=0-b      PUT bytes */* ──► 308
                       PUT bytes a-b/total, or without Content-Range ──► 200 and the object     DELETE ──► 499
"""

import contextlib
import mmap
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from local.storage.attributes import Attributes, object_attributes
from local.storage.checksums import claimed_in_header, claimed_in_metadata
from local.storage.errors import invalid, required, too_large, unimplemented, upload_cancelled
from local.storage.multipart import Buffer, boundary_of, split_related
from local.storage.names import BucketName, ObjectName, UploadId, object_name
from local.storage.parameters import preconditions, refuse_encryption
from local.storage.resources import object_resource
from local.storage.service import Service
from local.storage.stored import StoredObject
from local.storage.uploads import Session, UploadRequest
from local.storage.wire import JSON_LIMIT_BYTES, Request, Response, int64, json_object, json_response

_OBJECT_LIMIT_BYTES = 5 * 2**40  # Google's own
_SPOOL_LIMIT_BYTES = 1024 * 1024  # a multipart body up to here is parsed in memory
_PIECE_BYTES = 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


async def answer_upload(service: Service, request: Request, bucket: str) -> Response:
    refuse_encryption(request)
    upload_id = request.query.get("upload_id")
    if upload_id is not None:
        return await _answer_session(service, request, UploadId(upload_id))
    if request.method != "POST":
        raise unimplemented(f"{request.method} on uploads")
    service.buckets.get(bucket)
    match request.query.get("uploadType"):
        case "multipart":
            stored = await _multipart(service, request, BucketName(bucket))
        case "media":
            stored = await _media(service, request, BucketName(bucket))
        case "resumable":
            return await _begin(service, request, BucketName(bucket))
        case _:
            raise invalid("uploadType: must be media, multipart or resumable")
    return json_response(request, object_resource(stored, request.base_url))


def _name(request: Request, metadata: Mapping[str, Any]) -> ObjectName:
    name = request.query.get("name", metadata.get("name"))
    if name is None:
        raise required("name")
    return object_name(name)


# -- one request


async def _media(service: Service, request: Request, bucket: BucketName) -> StoredObject:
    name = _name(request, {})
    fields = {
        "contentType": request.headers.get("content-type"),
        "contentEncoding": request.query.get("contentEncoding"),
    }
    attributes = object_attributes(fields)
    with service.bodies.draft() as draft:
        async for chunk in request.chunks():
            draft.write(chunk)
        content = draft.content()
        claimed_in_header(request.headers.get("x-goog-hash")).verify(content.checksums)
        return service.objects.insert(bucket, name, attributes, content, preconditions(request))


async def _multipart(service: Service, request: Request, bucket: BucketName) -> StoredObject:
    boundary = boundary_of(request.headers.get("content-type", ""))
    with tempfile.SpooledTemporaryFile(_SPOOL_LIMIT_BYTES) as spool:
        async for chunk in request.chunks():
            spool.write(chunk)
        with _buffer(spool) as body:
            return _insert_related(service, request, bucket, body, boundary)


@contextmanager
def _buffer(spool: "tempfile.SpooledTemporaryFile[bytes]") -> Iterator[Buffer]:
    """The spooled bytes as one buffer, mapped from the file when they have become one."""
    size_bytes = spool.tell()
    spool.seek(0)
    if size_bytes <= _SPOOL_LIMIT_BYTES:
        yield spool.read()
        return
    with contextlib.closing(mmap.mmap(spool.fileno(), size_bytes, access=mmap.ACCESS_READ)) as body:
        yield body


def _insert_related(
    service: Service, request: Request, bucket: BucketName, body: Buffer, boundary: bytes
) -> StoredObject:
    metadata_part, media_part = split_related(body, boundary)
    if metadata_part.end - metadata_part.start > JSON_LIMIT_BYTES:
        raise too_large("The metadata part", JSON_LIMIT_BYTES)
    metadata = json_object(body[metadata_part.start : metadata_part.end])
    name, attributes = _name(request, metadata), _with_type(metadata, media_part.content_type)
    with service.bodies.draft() as draft:
        for start in range(media_part.start, media_part.end, _PIECE_BYTES):
            draft.write(body[start : min(start + _PIECE_BYTES, media_part.end)])
        content = draft.content()
        claimed_in_metadata(metadata).verify(content.checksums)
        return service.objects.insert(bucket, name, attributes, content, preconditions(request))


def _with_type(metadata: Mapping[str, Any], content_type: str | None) -> Attributes:
    """The settable fields, the metadata's own content type before that of the bytes."""
    return object_attributes({"contentType": content_type, **metadata})


# -- resumable


async def _begin(service: Service, request: Request, bucket: BucketName) -> Response:
    metadata = await request.resource()
    total = request.headers.get("x-upload-content-length")
    upload = UploadRequest(
        bucket=bucket,
        name=_name(request, metadata),
        attributes=_with_type(metadata, request.headers.get("x-upload-content-type")),
        claimed=claimed_in_metadata(metadata),
        preconditions=preconditions(request),
        total_bytes=None if total is None else int64("X-Upload-Content-Length", total),
    )
    upload_id = service.uploads.begin(upload)
    path = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&name={quote(upload.name, safe='')}"
    location = f"{request.base_url}{path}&upload_id={upload_id}"
    return Response(HTTPStatus.OK, [(b"location", location.encode()), (b"x-guploader-uploadid", upload_id.encode())])


async def _answer_session(service: Service, request: Request, upload_id: UploadId) -> Response:
    finished = service.uploads.finished(upload_id)
    match request.method:
        case "PUT" if finished is not None:
            return json_response(request, object_resource(finished, request.base_url))
        case "PUT":
            return await _put(service, request, upload_id)
        case "DELETE":
            service.uploads.cancel(upload_id)
            raise upload_cancelled()
        case _:
            raise unimplemented(f"{request.method} on an upload session")


@dataclass(frozen=True, slots=True)
class _ContentRange:
    """`start` None: a question, no bytes. `end` None: to the end of the body. `total_bytes` None: not yet known."""

    start: int | None
    end: int | None
    total_bytes: int | None


def _content_range(request: Request) -> _ContentRange:
    header = request.headers.get("content-range")
    if header is None:
        return _ContentRange(0, None, None)
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise invalid("Failed to parse Content-Range header.")
    first, last, total = match.groups()
    total_bytes = None if total == "*" else int(total)
    if first is None:
        return _ContentRange(None, None, total_bytes)
    if int(last) < int(first) or (total_bytes is not None and int(last) >= total_bytes):
        raise invalid("Invalid Content-Range header.")
    return _ContentRange(int(first), int(last) + 1, total_bytes)


async def _put(service: Service, request: Request, upload_id: UploadId) -> Response:
    session = service.uploads.open(upload_id)
    wanted = _content_range(request)
    total_bytes = _agreed_total(wanted, session)
    if wanted.start is not None:
        await _append(request, session, wanted.start, wanted.end)
    is_single = wanted.start is not None and wanted.end is None
    if is_single or (total_bytes is not None and session.size_bytes == total_bytes):
        claimed = claimed_in_header(request.headers.get("x-goog-hash"))
        stored = service.uploads.finish(upload_id, session, claimed)
        return json_response(request, object_resource(stored, request.base_url))
    return _incomplete(session)


def _agreed_total(wanted: _ContentRange, session: Session) -> int | None:
    announced = session.request.total_bytes
    if announced is not None and wanted.total_bytes not in (None, announced):
        raise invalid(f"The upload was announced with {announced} bytes, not {wanted.total_bytes}.")
    return wanted.total_bytes


async def _append(request: Request, session: Session, start: int, end: int | None) -> None:
    """Take the bytes we do not have yet; those we have were sent again because our confirmation was lost."""
    session.writer += 1
    writer, position = session.writer, start
    if start > session.size_bytes:
        raise invalid(f"The upload has {session.size_bytes} bytes; bytes from {start} on would leave a gap.")
    async for chunk in request.chunks():
        known = max(session.size_bytes - position, 0)
        position += len(chunk)
        if position > (_OBJECT_LIMIT_BYTES if end is None else end):
            raise invalid("The request body is longer than its Content-Range.")
        if known < len(chunk):
            session.append(writer, chunk[known:])
    if end is not None and position != end:
        raise invalid("The request body is shorter than its Content-Range.")
    session.require_writer(writer)


def _incomplete(session: Session) -> Response:
    headers = [(b"range", b"bytes=0-%d" % (session.size_bytes - 1))] if session.size_bytes else []
    return Response(HTTPStatus.PERMANENT_REDIRECT, headers)
