"""Objects in the storage beside us, as a service of Google's reads, copies and writes them for its users."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from local.errors import CloudError, Status
from local.vertex.http_client import Answer, HttpClient

_ANSWER_SECONDS = 30.0
_PATIENCE_SECONDS = 20.0  # how long a storage that is being restarted is waited for
_PAUSE_SECONDS = 0.2
_MAX_OBJECTS = 10_000


class Objects:
    """The storage at a URL; raises CloudError, UNAVAILABLE without a storage. To be closed."""

    def __init__(self, storage: str) -> None:
        parts = urlsplit(storage)
        self._client = HttpClient(parts.port or 80, parts.hostname or "127.0.0.1")

    def close(self) -> None:
        self._client.close()

    async def listed(self, bucket: str, prefix: str) -> list[str]:
        """The names of all objects below a prefix, folders' markers left out."""
        names: list[str] = []
        token = ""
        while len(names) <= _MAX_OBJECTS:
            query = urlencode({"prefix": prefix, "pageToken": token} if token else {"prefix": prefix})
            answer = await self._persist("GET", f"/storage/v1/b/{quote(bucket, safe='')}/o?{query}")
            page = _read(answer, f"gs://{bucket}/{prefix}")
            names += [item["name"] for item in page.get("items", ())]
            token = page.get("nextPageToken", "")
            if not token:
                return [name for name in names if not name.endswith("/")]
        raise CloudError(Status.INVALID_ARGUMENT, f"There are more than {_MAX_OBJECTS} files.")

    async def content(self, bucket: str, name: str) -> bytes:
        """A whole object."""
        target = f"/download/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}?alt=media"
        return _checked(await self._persist("GET", target), f"gs://{bucket}/{name}").body

    async def write(self, bucket: str, name: str, content: bytes) -> None:
        """Writes a whole object, over what stands there."""
        query = urlencode({"uploadType": "media", "name": name})
        target = f"/upload/storage/v1/b/{quote(bucket, safe='')}/o?{query}"
        _read(await self._persist("POST", target, content), f"gs://{bucket}/{name}")

    async def make_bucket(self, name: str, project: str) -> None:
        """Makes a bucket unless it is there."""
        target = f"/storage/v1/b?{urlencode({'project': project})}"
        answer = await self._persist("POST", target, json.dumps({"name": name}).encode())
        if answer.status != 409:
            _read(answer, f"gs://{name}")

    async def copy(self, bucket: str, name: str, new_bucket: str, new_name: str) -> None:
        source = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        target = f"{source}/copyTo/b/{quote(new_bucket, safe='')}/o/{quote(new_name, safe='')}"
        _read(await self._persist("POST", target), f"gs://{bucket}/{name}")

    async def _persist(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Asks until the storage answers something else than "not now"."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = await self._client.ask(method, target, _ANSWER_SECONDS, body)
            except (ConnectionError, TimeoutError):
                answer = None
            if answer is not None and answer.status != 429 and answer.status < 500:
                return answer
            if time.monotonic() > end:
                raise CloudError(Status.UNAVAILABLE, "Cloud Storage does not answer.")
            await asyncio.sleep(_PAUSE_SECONDS)


def address(uri: str) -> tuple[str, str]:
    """Bucket and name of gs://bucket/name; INVALID_ARGUMENT for what is none."""
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket:
        raise CloudError(Status.INVALID_ARGUMENT, f"Not an address of Cloud Storage: {uri}")
    return bucket, path


def _checked(answer: Answer, what: str) -> Answer:
    if answer.status != 200:
        status = Status.NOT_FOUND if answer.status == 404 else Status.FAILED_PRECONDITION
        raise CloudError(status, f"Cloud Storage answers {answer.status} for {what}.")
    return answer


def _read(answer: Answer, what: str) -> dict[str, Any]:
    page = json.loads(_checked(answer, what).body)
    return page if isinstance(page, dict) else {}
