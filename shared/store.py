"""The thin door to Cloud Storage: objects are created, read and listed; never overwritten, never deleted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from shared.door import Door
from shared.errors import Conflict, Refused

if TYPE_CHECKING:
    from google.cloud.storage import Bucket, Client

_CHUNK_BYTES = 2 * 1024 * 1024  # beyond it, reading costs no less
_OPEN_SECONDS, _SILENT_SECONDS = 10.0, 60.0


@dataclass(frozen=True)
class Entry:
    """What the bucket tells of one object; `created` is the server's time, checksums are in base64.

    A listing tells no checksums; objects that were composed of parts have no MD5.
    """

    key: str
    generation: int
    created: datetime
    bytes: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc32c: str = ""
    md5: str = ""


def _content_type(key: str) -> str:
    """A report is to be opened, all else to be kept."""
    return "text/html; charset=utf-8" if key.endswith(".html") else "application/octet-stream"


class Store(Protocol):
    """One bucket."""

    @property
    def bucket(self) -> str: ...

    def create(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry | None:
        """Creates the object if nothing stands under the key; None if something does (perhaps our own earlier try)."""

    def read(self, key: str, generation: int | None = None) -> bytes | None:
        """The whole object, or None if it is not there."""

    def stat(self, key: str, generation: int | None = None) -> Entry | None:
        """What the bucket knows about an object, or None."""

    def entries(self, prefix: str) -> list[Entry]:
        """Every object below the prefix, in the order of their keys."""

    def entries_known(self, prefix: str) -> list[Entry]:
        """Of what is below the prefix, at least all that came by way of this store and all that is not quite new."""

    def folders(self, prefix: str) -> list[str]:
        """The names that directly follow the prefix up to the next slash, sorted."""

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        """The stored bytes of exactly this generation, from `start` on, in chunks of 2 MiB; Refused if it is gone."""

    def part(self, key: str, generation: int, start: int, length: int) -> bytes:
        """Bytes of exactly this generation as they are stored, from `start` on; Refused if it is gone."""


class CloudStore:
    """A bucket of Cloud Storage, through Google's client."""

    def __init__(self, client: "Client", bucket: str, door: Door) -> None:
        self._client = client
        self._bucket: Bucket = client.bucket(bucket)
        self._door = door

    @property
    def bucket(self) -> str:
        return str(self._bucket.name)

    def create(self, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> Entry | None:
        blob = self._bucket.blob(key)
        if metadata:
            blob.metadata = dict(metadata)
        try:
            self._door(
                "storage.create",
                lambda: blob.upload_from_string(body, content_type=_content_type(key), if_generation_match=0),
            )
        except Conflict:
            return None
        return _entry(blob)

    def read(self, key: str, generation: int | None = None) -> bytes | None:
        blob = self._bucket.blob(key, generation=generation)
        try:
            return bytes(self._door("storage.read", blob.download_as_bytes))
        except Refused as refused:
            if not refused.absent:
                raise
            return None

    def stat(self, key: str, generation: int | None = None) -> Entry | None:
        blob = self._door("storage.stat", lambda: self._bucket.get_blob(key, generation=generation))
        return None if blob is None else _entry(blob)

    def entries(self, prefix: str) -> list[Entry]:
        fields = "items(name,generation,timeCreated,size,metadata),nextPageToken"
        return self._door(
            "storage.list",
            lambda: [_entry(blob) for blob in self._client.list_blobs(self._bucket, prefix=prefix, fields=fields)],
        )

    def entries_known(self, prefix: str) -> list[Entry]:
        return self.entries(prefix)

    def folders(self, prefix: str) -> list[str]:
        def listed() -> list[str]:
            pages = self._client.list_blobs(self._bucket, prefix=prefix, delimiter="/")
            for _ in pages:  # the prefixes are known only once every page has come
                pass
            return sorted(found[len(prefix) :].rstrip("/") for found in pages.prefixes)

        return self._door("storage.list", listed)

    def stream(self, key: str, generation: int, start: int = 0) -> Iterator[bytes]:
        response = self._door("storage.open", lambda: self._media(key, generation, start))
        with response:
            while chunk := self._door("storage.read", lambda: _chunk(response)):
                yield chunk

    def part(self, key: str, generation: int, start: int, length: int) -> bytes:
        blob = self._bucket.blob(key, generation=generation)
        return self._door(
            "storage.read",
            lambda: bytes(
                blob.download_as_bytes(
                    start=start, end=start + length - 1, raw_download=True, checksum=None, single_shot_download=True
                )
            ),
        )

    def _media(self, key: str, generation: int, start: int) -> Any:
        """One answer with all bytes from `start` on. The client's own downloads take five times as much of a CPU."""
        from google.api_core import exceptions

        place = f"{self._client.api_endpoint}/download/storage/v1/b/{quote(self.bucket)}/o/{quote(key, safe='')}"
        response = self._client._http.get(
            f"{place}?generation={generation}&alt=media",
            headers={"Range": f"bytes={start}-", "Accept-Encoding": "gzip"},  # as it is stored, packed or not
            stream=True,
            timeout=(_OPEN_SECONDS, _SILENT_SECONDS),
        )
        if response.status_code not in (200, 206):
            translate: Any = exceptions.from_http_response
            raise translate(response)
        return response


def _chunk(response: Any) -> bytes:
    """The next bytes; an answer that breaks off is told as the connection's failure."""
    from urllib3.exceptions import HTTPError

    try:
        return bytes(response.raw.read(_CHUNK_BYTES, decode_content=False))
    except HTTPError as error:
        raise ConnectionError(str(error)) from error


def _entry(blob: "object") -> Entry:
    return Entry(
        key=blob.name,  # type: ignore[attr-defined]
        generation=int(blob.generation),  # type: ignore[attr-defined]
        created=blob.time_created,  # type: ignore[attr-defined]
        bytes=int(blob.size or 0),  # type: ignore[attr-defined]
        metadata=dict(blob.metadata or {}),  # type: ignore[attr-defined]
        crc32c=blob.crc32c or "",  # type: ignore[attr-defined]
        md5=blob.md5_hash or "",  # type: ignore[attr-defined]
    )
