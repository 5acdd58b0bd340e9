"""Fetches what the container answers with: models, signature, baseline, and the key that signs receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from serving_image.configuration import Configuration
from shared.errors import BadInput

if TYPE_CHECKING:
    from shared.environment import GoogleCloud

_GS = "gs://"
_UNUSED = "not-used-here"


@dataclass(frozen=True)
class Key:
    """What signs receipts; its id travels with them, so that keys can change."""

    id: str
    secret: bytes


@dataclass(frozen=True)
class Artefacts:
    """What was fetched, as bytes; None for what this version was trained without."""

    graph: bytes
    signature: bytes
    anomaly: bytes | None = None
    baseline: bytes | None = None
    key: Key | None = None


def fetch(configuration: Configuration, variables: Mapping[str, str]) -> Artefacts:
    """The artefacts from their folder or bucket; raises BadInput when one that is needed is not there."""
    folder = configuration.artefacts.rstrip("/")
    return Artefacts(
        graph=_needed(f"{folder}/model.onnx", variables),
        signature=_needed(f"{folder}/signature.json", variables),
        anomaly=_content(f"{folder}/anomaly.onnx", variables),
        baseline=_content(f"{folder}/baseline.json", variables),
        key=_key(configuration.receipt_key, variables) if configuration.receipt_key else None,
    )


def cloud_of(variables: Mapping[str, str], artefacts: str = _UNUSED) -> GoogleCloud:
    """The cloud as a container knows it: it is told addresses, not the names of the installation's buckets."""
    # Here, because a container that finds its artefacts in a folder is healthy before it needs Google's clients.
    from shared.environment import GoogleCloud, read_environment

    buckets = {"SERIN_DATA_BUCKET": _UNUSED, "SERIN_STATE_BUCKET": _UNUSED, "SERIN_ARTEFACTS_BUCKET": artefacts}
    return GoogleCloud(read_environment({"GOOGLE_CLOUD_PROJECT": _UNUSED, **variables, **buckets}))


def _key(place: str, variables: Mapping[str, str]) -> Key:
    try:
        return Key(place.rpartition("/")[2], bytes.fromhex(_needed(place, variables).decode()))
    except ValueError:
        # Without the cause: its text would quote the key.
        raise BadInput("receipt key", ["not a line of hexadecimal digits"]) from None


def _needed(place: str, variables: Mapping[str, str]) -> bytes:
    content = _content(place, variables)
    if content is None:
        raise BadInput("artefacts", [f"there is no {place}"])
    return content


def _content(place: str, variables: Mapping[str, str]) -> bytes | None:
    if place.startswith(_GS):
        bucket, _, key = place.removeprefix(_GS).partition("/")
        return cloud_of(variables, bucket).artefacts.read(key)
    try:
        return Path(place).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput("artefacts", [f"{place} cannot be read: {error.strerror}"]) from error
