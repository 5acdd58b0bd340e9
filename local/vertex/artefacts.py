"""Copies a model's artefacts at upload into a bucket of the service's own, as Vertex AI does.

What is served later does not change when the original does.
"""

from dataclasses import dataclass

from local.errors import CloudError, Status
from local.vertex.objects import Objects, address

BUCKET = "serin-local-vertex"


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
        bucket, path = address(source)
        prefix = f"{path.rstrip('/')}/" if path else ""
        objects = Objects(self.storage)
        try:
            names = await objects.listed(bucket, prefix)
            if not names:
                raise CloudError(Status.INVALID_ARGUMENT, f"There are no files below {source}.")
            await objects.make_bucket(BUCKET, self.project)
            for each in names:
                await objects.copy(bucket, each, BUCKET, f"models/{name}/{each.removeprefix(prefix)}")
        finally:
            objects.close()
        return f"gs://{BUCKET}/models/{name}"
