"""What a content is known by: its length and the checksums that Cloud Storage keeps of it.

Nothing has to be read to know it, so an identical file is recognised however big it is.
"""

import base64
import hashlib
from typing import Any


def content_id(size: int, md5: str, crc32c: str) -> str:
    """One name per content, from the store's base64 checksums; a digest only to have a name that fits into a key."""
    return hashlib.sha256(f"{size} {md5} {crc32c}".encode()).hexdigest()


def content_id_of(content: bytes) -> str:
    """The same for bytes that are at hand."""
    return content_id(len(content), md5_of(content), crc32c_of(content))


def md5_of(content: bytes) -> str:
    """MD5 in base64, as Cloud Storage writes it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def crc32c_of(content: bytes) -> str:
    """CRC32C, big-endian in base64, as Cloud Storage writes it."""
    running = Crc32c()
    running.update(content)
    return running.text()


class Crc32c:
    """A running CRC32C: by it a reader knows that it was given all bytes, and the right ones."""

    def __init__(self) -> None:
        import google_crc32c

        made: Any = google_crc32c.Checksum
        self._sum = made()

    def update(self, chunk: bytes) -> None:
        self._sum.update(chunk)

    def text(self) -> str:
        return base64.b64encode(self._sum.digest()).decode()
