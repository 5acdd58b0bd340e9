"""The two checksums Cloud Storage keeps of every object, computed as the bytes pass and compared with the client's."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import google_crc32c

from local.storage.errors import checksum_mismatch


@dataclass(frozen=True, slots=True)
class Checksums:
    """Size in bytes, and crc32c (big-endian) and md5 as base64, as they stand in the object resource."""

    size_bytes: int
    crc32c: str
    md5: str


@dataclass(frozen=True, slots=True)
class ClaimedChecksums:
    """What the client says the bytes are; None where it says nothing."""

    crc32c: str | None = None
    md5: str | None = None

    def verify(self, actual: Checksums) -> None:
        """Raise CloudError 400 when the bytes are not those the client sent."""
        if self.crc32c is not None and self.crc32c.rstrip("=") != actual.crc32c.rstrip("="):
            raise checksum_mismatch("CRC32C", self.crc32c, actual.crc32c)
        if self.md5 is not None and self.md5.rstrip("=") != actual.md5.rstrip("="):
            raise checksum_mismatch("MD5 hash", self.md5, actual.md5)

    def or_else(self, other: "ClaimedChecksums") -> "ClaimedChecksums":
        return ClaimedChecksums(self.crc32c or other.crc32c, self.md5 or other.md5)


def claimed_in_header(value: str | None) -> ClaimedChecksums:
    """The claims of an `X-Goog-Hash: crc32c=…,md5=…` header."""
    if value is None:
        return ClaimedChecksums()
    pairs = dict(part.strip().split("=", 1) for part in value.split(",") if "=" in part)
    return ClaimedChecksums(pairs.get("crc32c"), pairs.get("md5"))


def claimed_in_metadata(metadata: Mapping[str, object]) -> ClaimedChecksums:
    """The claims of an object resource's `crc32c` and `md5Hash`."""
    crc32c, md5 = metadata.get("crc32c"), metadata.get("md5Hash")
    return ClaimedChecksums(crc32c if isinstance(crc32c, str) else None, md5 if isinstance(md5, str) else None)


class Digest:
    """Checksums of a stream of bytes."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0
        self.size_bytes = 0

    def update(self, chunk: bytes) -> None:
        self._md5.update(chunk)
        self._crc32c = google_crc32c.extend(self._crc32c, chunk)
        self.size_bytes += len(chunk)

    def checksums(self) -> Checksums:
        crc32c = base64.b64encode(self._crc32c.to_bytes(4, "big")).decode()
        return Checksums(self.size_bytes, crc32c, base64.b64encode(self._md5.digest()).decode())
