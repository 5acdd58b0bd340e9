"""multipart/related bodies (RFC 2387) as Google's clients send them, with CRLF or, as older ones do, LF line ends.

    --boundary␤  headers␤ ␤ metadata ␤--boundary␤  headers␤ ␤ media ␤--boundary--

Plain searches instead of a regular expression: every upload has a boundary of its own, and compiling would cost more
than all the rest of a small upload.
"""

import mmap
from dataclasses import dataclass

from local.storage.errors import malformed

Buffer = bytes | mmap.mmap

# RFC 2046 allows 70 characters; some clients use more, none uses hundreds.
_BOUNDARY_LIMIT_BYTES = 256
_PADDING = b" \t"


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part's content lies in the body, and its Content-Type (None when it has none)."""

    content_type: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Boundary:
    """One boundary line: where the line end before it begins, and the one behind it (None: it is the closing one)."""

    start: int
    end: int | None


def boundary_of(content_type: str) -> bytes:
    """The boundary of a Content-Type header, whether in double, single or no quotes; CloudError 400 without one."""
    kind, *parameters = content_type.split(";")
    pairs = (parameter.strip().partition("=") for parameter in parameters)
    values = [value.strip("\"'") for name, _, value in pairs if name.lower() == "boundary"]
    if not kind.strip().lower().startswith("multipart/") or not values:
        raise malformed("A multipart upload needs a Content-Type of multipart/related with a boundary.")
    boundary = values[0].encode("latin-1", "replace")
    if not 0 < len(boundary) <= _BOUNDARY_LIMIT_BYTES:
        raise malformed("The multipart boundary is empty or too long.")
    return boundary


def split_related(body: Buffer, boundary: bytes) -> tuple[Part, Part]:
    """The metadata part and the media part of a complete body; CloudError 400 unless there are exactly two."""
    opening_end, line_end = _opening(body, b"--" + boundary)
    delimiter = line_end + b"--" + boundary
    metadata, after_metadata = _part(body, opening_end, delimiter, line_end)
    if after_metadata is None:
        raise malformed("The multipart body has one part; metadata and media are expected.")
    media, after_media = _part(body, after_metadata, delimiter, line_end)
    if after_media is not None:
        raise malformed("The multipart body has more than two parts.")
    return metadata, media


def _opening(body: Buffer, dashed: bytes) -> tuple[int, bytes]:
    """Where the line end of the first boundary line stands, and which line end it is.

    The line end in use tells whether a carriage return before a later boundary is content.
    """
    start = 0 if bytes(body[: len(dashed)]) == dashed else body.find(b"\n" + dashed) + 1
    newline = body.find(b"\n", start)
    line = bytes(body[start : newline + 1]) if newline - start < _BOUNDARY_LIMIT_BYTES + len(dashed) else b""
    if not line.startswith(dashed) or line[len(dashed) :].strip(_PADDING) not in (b"\n", b"\r\n"):
        raise malformed("The multipart body does not begin with its boundary.")
    return (newline - 1, b"\r\n") if line.endswith(b"\r\n") else (newline, b"\n")


def _part(body: Buffer, start: int, delimiter: bytes, line_end: bytes) -> tuple[Part, int | None]:
    """The part after a boundary line, and the line end of the next boundary line (None: that was the closing one).

    `start` is where the boundary line's own line end stands: a part without headers begins with an empty line.
    """
    headers_end = body.find(line_end * 2, start)
    # An empty content may share its line end with the boundary that follows.
    following = _boundary(body, headers_end + len(line_end), delimiter, line_end) if headers_end >= 0 else None
    if following is None:
        raise malformed("The multipart body ends before its closing boundary.")
    content_start = min(headers_end + 2 * len(line_end), following.start)
    part = Part(_content_type(bytes(body[start:headers_end])), content_start, following.start)
    return part, following.end


def _boundary(body: Buffer, start: int, delimiter: bytes, line_end: bytes) -> _Boundary | None:
    """The next real boundary line: content may hold the same letters with others behind them."""
    while (found := body.find(delimiter, start)) >= 0:
        behind = found + len(delimiter)
        if bytes(body[behind : behind + 2]) == b"--":
            return _Boundary(found, None)
        end = _skip_padding(body, behind)
        if bytes(body[end : end + len(line_end)]) == line_end:
            return _Boundary(found, end)
        start = found + 1
    return None


def _skip_padding(body: Buffer, position: int) -> int:
    while bytes(body[position : position + 1]) in (b" ", b"\t"):
        position += 1
    return position


def _content_type(headers: bytes) -> str | None:
    for line in headers.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-type":
            return value.strip().decode("latin-1")
    return None
