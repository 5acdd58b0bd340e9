"""Copies a model's artefacts at upload into a bucket of the service's own, as Vertex AI does.

What is served later does not change when the original does.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from local.errors import CloudError, Status
from local.vertex.http_client import Answer, HttpClient

BUCKET = "serin-local-vertex"
_ANSWER_SECONDS = 30.0
_PATIENCE_SECONDS = 20.0  # how long a storage that is being restarted is waited for
_PAUSE_SECONDS = 0.2
_MAX_OBJECTS = 10_000


@dataclass(frozen=True)
class Artefacts:
    """Copies within the storage at a URL; made anew copies come out the same."""

    storage: str
    project: str

    async def copied(self, source: str, name: str) -> str:
        """Copies every object below `source` (gs://…), answers the copy's address; "" for a model without artefacts.

        Raises INVALID_ARGUMENT for an address that is none or has nothing below it, UNAVAILABLE without a storage.
        """
        if not source:
            return ""
        bucket, prefix = _address(source)
        parts = urlsplit(self.storage)
        client = HttpClient(parts.port or 80, parts.hostname or "127.0.0.1")
        try:
            objects = await self._listed(client, bucket, prefix)
            if not objects:
                raise CloudError(Status.INVALID_ARGUMENT, f"There are no files below {source}.")
            await self._make_bucket(client)
            for each in objects:
                await self._copy(client, bucket, each, f"models/{name}/{each.removeprefix(prefix)}")
        finally:
            client.close()
        return f"gs://{BUCKET}/models/{name}"

    async def _listed(self, client: HttpClient, bucket: str, prefix: str) -> list[str]:
        names: list[str] = []
        token = ""
        while len(names) <= _MAX_OBJECTS:
            query = urlencode({"prefix": prefix, "pageToken": token} if token else {"prefix": prefix})
            answer = await _persist(client, "GET", f"/storage/v1/b/{quote(bucket, safe='')}/o?{query}")
            page = _read(answer, f"gs://{bucket}/{prefix}")
            names += [item["name"] for item in page.get("items", ())]
            token = page.get("nextPageToken", "")
            if not token:
                return [name for name in names if not name.endswith("/")]
        raise CloudError(Status.INVALID_ARGUMENT, f"There are more than {_MAX_OBJECTS} files.")

    async def _make_bucket(self, client: HttpClient) -> None:
        target = f"/storage/v1/b?{urlencode({'project': self.project})}"
        answer = await _persist(client, "POST", target, json.dumps({"name": BUCKET}).encode())
        if answer.status != 409:
            _read(answer, f"gs://{BUCKET}")

    async def _copy(self, client: HttpClient, bucket: str, name: str, new_name: str) -> None:
        source = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(name, safe='')}"
        target = f"{source}/copyTo/b/{BUCKET}/o/{quote(new_name, safe='')}"
        _read(await _persist(client, "POST", target), f"gs://{bucket}/{name}")


async def _persist(client: HttpClient, method: str, target: str, body: bytes = b"") -> Answer:
    """Asks until the storage answers something else than "not now"."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            answer = await client.ask(method, target, _ANSWER_SECONDS, body)
        except (ConnectionError, TimeoutError):
            answer = None
        if answer is not None and answer.status != 429 and answer.status < 500:
            return answer
        if time.monotonic() > end:
            raise CloudError(Status.UNAVAILABLE, "Cloud Storage does not answer.")
        await asyncio.sleep(_PAUSE_SECONDS)


def _address(uri: str) -> tuple[str, str]:
    bucket, _, path = uri.removeprefix("gs://").partition("/")
    if not uri.startswith("gs://") or not bucket:
        raise CloudError(Status.INVALID_ARGUMENT, f"Not an address of Cloud Storage: {uri}")
    return bucket, f"{path.rstrip('/')}/" if path else ""


def _read(answer: Answer, what: str) -> dict[str, Any]:
    if answer.status != 200:
        status = Status.NOT_FOUND if answer.status == 404 else Status.FAILED_PRECONDITION
        raise CloudError(status, f"Cloud Storage answers {answer.status} for {what}.")
    page = json.loads(answer.body)
    return page if isinstance(page, dict) else {}
