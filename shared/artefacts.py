"""What a training attempt leaves in the artefacts bucket, known by one digest: what is approved is what is deployed."""

import hashlib
from collections.abc import Mapping

from shared.errors import BadInput
from shared.store import Store

EVALUATION = "evaluation.json"
"""Written after all others: where it stands, the attempt is complete."""
REPORT = "report.html"
"""What people look at before they answer."""


def digest(files: Mapping[str, bytes]) -> str:
    """One digest for all files: SHA-256 of the lines `<sha256>  <name>`, by name, as sha256sum would print them."""
    return _combined({name: hashlib.sha256(content).hexdigest() for name, content in files.items()})


def stored_digest(store: Store, place: str) -> str:
    """The digest of all files that stand in a place, `gs://<bucket>/<prefix>`; BadInput if none do."""
    prefix = key_of(store, place)
    found: dict[str, str] = {}
    for entry in store.entries(prefix):
        content = hashlib.sha256()
        for chunk in store.stream(entry.key, entry.generation):
            content.update(chunk)
        found[entry.key.removeprefix(prefix)] = content.hexdigest()
    if not found:
        raise BadInput("artefacts", [f"there is nothing in {place}"])
    return _combined(found)


def completed(store: Store, place: str) -> str:
    """The folder of a finished attempt: the place itself or one below it; the oldest, if a job had several lives.

    What is finished holds `evaluation.json`, which is written last. BadInput if nothing is.
    """
    prefix = key_of(store, place)
    found = [entry for entry in store.entries(prefix) if entry.key.rsplit("/", 1)[-1] == EVALUATION]
    if not found:
        raise BadInput("artefacts", [f"there is no {EVALUATION} in {place}"])
    oldest = min(found, key=lambda entry: (entry.created, entry.generation))
    return f"gs://{store.bucket}/{oldest.key.removesuffix(EVALUATION)}"


def key_of(store: Store, place: str) -> str:
    """The key of a place in the bucket, with the slash at its end; BadInput if it is in another bucket."""
    bucket = f"gs://{store.bucket}/"
    if not place.startswith(bucket):
        raise BadInput("artefacts", [f"{place} is not in this installation's artefacts bucket"])
    return place.removeprefix(bucket).rstrip("/") + "/"


def read_artefact(store: Store, place: str, name: str) -> bytes:
    """One file of a place; BadInput if it is not there."""
    content = store.read(f"{key_of(store, place)}{name}")
    if content is None:
        raise BadInput("artefacts", [f"there is no {name} in {place}"])
    return content


def _combined(digests: Mapping[str, str]) -> str:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
