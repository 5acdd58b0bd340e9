"""Query parameters and headers that several operations share, decoded once."""

from collections.abc import Mapping

from local.storage.errors import NotModified, condition_not_met, unimplemented
from local.storage.listing import PAGE_LIMIT, ListQuery, Position, position_of_token
from local.storage.preconditions import Preconditions
from local.storage.resources import etag
from local.storage.stored import StoredObject
from local.storage.wire import Request

# Each of these changes what the answer means, so to ignore one would be to answer something else than was asked.
_REFUSED_IN_LISTS = (
    "filter",
    "includeFoldersAsPrefixes",
    "includeTrailingDelimiter",
    "matchGlob",
    "softDeleted",
)


def preconditions(request: Request, prefix: str = "if") -> Preconditions:
    """The preconditions of the request; `prefix` "ifSource" for those about the source of a copy."""
    return Preconditions(
        generation_match=request.number(f"{prefix}GenerationMatch"),
        generation_not_match=request.number(f"{prefix}GenerationNotMatch"),
        metageneration_match=request.number(f"{prefix}MetagenerationMatch"),
        metageneration_not_match=request.number(f"{prefix}MetagenerationNotMatch"),
    )


def check_read(request: Request, wanted: Preconditions, stored: StoredObject) -> None:
    """All conditions of a read, those wanted and If-Match and If-None-Match. CloudError 412, NotModified."""
    wanted.check_read(stored)
    actual = etag(stored.generation, stored.metageneration)
    if not _names(request.headers, "if-match", actual, default=True):
        raise condition_not_met()
    if _names(request.headers, "if-none-match", actual, default=False):
        raise NotModified


def _names(headers: Mapping[str, str], header: str, actual: str, default: bool) -> bool:
    value = headers.get(header)
    if value is None:
        return default
    etags = [part.strip().removeprefix("W/").strip('"') for part in value.split(",")]
    return actual in etags or "*" in etags


def list_query(request: Request, bucket: str) -> ListQuery:
    refused = [name for name in _REFUSED_IN_LISTS if request.query.get(name, "false") != "false"]
    if refused:
        raise unimplemented(f"the parameter {refused[0]}")
    token = request.query.get("pageToken")
    return ListQuery(
        bucket=bucket,
        prefix=request.query.get("prefix", ""),
        delimiter=request.query.get("delimiter", ""),
        start_offset=request.query.get("startOffset", ""),
        end_offset=request.query.get("endOffset"),
        versions=request.flag("versions"),
        limit=page_limit(request),
        position=position_of_token(token) if token else Position(),
    )


def page_limit(request: Request) -> int:
    """maxResults within Google's page; what is not positive counts as absent."""
    wanted = request.number("maxResults") or PAGE_LIMIT
    return min(wanted, PAGE_LIMIT) if wanted > 0 else PAGE_LIMIT


def refuse_encryption(request: Request) -> None:
    """Customer-supplied keys would have to encrypt; pretending to would be worse than refusing."""
    is_encrypted = any(
        name.startswith(("x-goog-encryption-", "x-goog-copy-source-encryption-")) for name in request.headers
    )
    if is_encrypted or "kmsKeyName" in request.query or "destinationKmsKeyName" in request.query:
        raise unimplemented("encryption keys")
